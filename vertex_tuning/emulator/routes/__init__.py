"""One file per resource, the same shape in each; `ALL` is what the emulator answers, in the order of the search."""

from vertex_tuning.emulator.api import Route
from vertex_tuning.emulator.routes import (
    admin,
    endpoints,
    generation,
    identity,
    models,
    operations,
    publisher_models,
    tuning_jobs,
)

ALL: tuple[Route, ...] = (
    *tuning_jobs.routes.all,
    *generation.routes.all,
    *models.routes.all,
    *endpoints.routes.all,
    *operations.routes.all,
    *publisher_models.routes.all,
    *identity.routes.all,
    *admin.routes.all,
)
