"""One file per resource, the same shape in each."""

from dataclasses import replace

from vertex_tuning.emulator.api import Route
from vertex_tuning.emulator.routes import (
    admin,
    batch_prediction_jobs,
    custom_jobs,
    datasets,
    endpoints,
    generation,
    identity,
    kms,
    kubeflow,
    model_garden,
    models,
    network_attachments,
    operations,
    pipeline_jobs,
    prediction,
    publisher_models,
    quotas,
    repositories,
    resource_manager,
    run,
    schedules,
    service_accounts,
    services,
    templates,
    tuning_jobs,
)

_VERTEX: tuple[Route, ...] = (
    *tuning_jobs.routes.all,
    *batch_prediction_jobs.routes.all,
    *generation.routes.all,
    *prediction.routes.all,
    *models.routes.all,
    *model_garden.routes.all,
    *endpoints.routes.all,
    *datasets.routes.all,
    *custom_jobs.routes.all,
    *pipeline_jobs.routes.all,
    *schedules.routes.all,
    *operations.routes.all,
    *publisher_models.routes.all,
)

VERTEX = tuple(replace(route, service="aiplatform.googleapis.com") for route in _VERTEX)
"""What the hosts of Vertex AI answer."""

PROJECT: tuple[Route, ...] = (
    *identity.routes.all,
    *resource_manager.routes.all,
    *service_accounts.routes.all,
    *services.routes.all,
    *quotas.routes.all,
    *kms.routes.all,
    *repositories.routes.all,
    *templates.routes.all,
    *run.routes.all,
    *network_attachments.routes.all,
)
"""What the hosts of tokens, and of all that a project consists of beside, answer."""

TEMPLATES: tuple[Route, ...] = tuple(templates.files.all)
"""What the hosts of registries for compiled pipelines answer; at the plain address, below `TEMPLATES_ROOT` and the location."""
TEMPLATES_ROOT = templates.ROOT

ALL: tuple[Route, ...] = (*VERTEX, *PROJECT, *TEMPLATES, *kubeflow.routes.all, *admin.routes.all)
"""What the plain address answers."""
