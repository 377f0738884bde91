"""One file per resource, the same shape in each."""

from vertex_tuning.emulator.api import Route
from vertex_tuning.emulator.routes import (
    admin,
    batch_prediction_jobs,
    custom_jobs,
    datasets,
    endpoints,
    generation,
    identity,
    kubeflow,
    model_garden,
    models,
    operations,
    pipeline_jobs,
    prediction,
    publisher_models,
    schedules,
    tuning_jobs,
)

VERTEX: tuple[Route, ...] = (
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
"""What the hosts of Vertex AI answer."""

IDENTITY: tuple[Route, ...] = tuple(identity.routes.all)
"""What the hosts of tokens, IAM credentials and Resource Manager answer."""

ALL: tuple[Route, ...] = (*VERTEX, *IDENTITY, *kubeflow.routes.all, *admin.routes.all)
"""What the plain address answers."""
