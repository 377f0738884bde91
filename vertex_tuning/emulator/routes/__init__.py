"""One file per resource, the same shape in each; `ALL` is what the emulator answers, in the order of the search."""

import contextlib

from vertex_tuning.emulator.api import Route
from vertex_tuning.emulator.routes import (
    admin,
    endpoints,
    identity,
    models,
    operations,
    publisher_models,
    tuning_jobs,
)

ALL: tuple[Route, ...] = (
    *tuning_jobs.routes.all,
    *models.routes.all,
    *endpoints.routes.all,
    *operations.routes.all,
    *publisher_models.routes.all,
    *identity.routes.all,
    *admin.routes.all,
)

with contextlib.suppress(ImportError):
    from vertex_tuning.emulator.routes import generation

    ALL += tuple(generation.routes.all)
