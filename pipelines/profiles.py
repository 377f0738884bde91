"""What differs between the targets that a pipeline is compiled for."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from kfp import dsl

from pipelines import components
from vertex_tuning import __version__
from vertex_tuning.pipelines.compiled import IMAGE


@dataclass(frozen=True)
class Profile:
    """A target."""

    name: str
    """`vertex` or `kubeflow`."""
    cpu: str
    """Of a step. Static: a value that is a pipeline's parameter is passed over by older backends."""
    memory: str
    image: str = f"{IMAGE}:{__version__}"
    """Has the SDK and kfp in it. A name that nobody can pull: whoever submits the pipeline puts their own in its place."""

    def component(self, function: Callable[..., Any]) -> Any:
        """A thin component of a function."""
        return dsl.component(function, base_image=self.image, install_kfp_package=False)

    def components(self, module: Any = components) -> SimpleNamespace:
        """Every public function of a module as a component: `steps = profile.components()`, then `steps.tune(...)`."""
        found = {
            name: self.component(value)
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        }
        return SimpleNamespace(**found)

    def settle(self, task: Any, *, retries: int = 2, cached: bool = True) -> Any:
        """Resources, retries and caching of a task; returns it.

        Args:
            task: What a component returned.
            retries: Tries after the first. A step is safe to try again, or has 0 here.
            cached: Whether an earlier run's outputs will do. What acts on the world is never cached.
        """
        task.set_cpu_limit(self.cpu).set_memory_limit(self.memory).set_caching_options(cached)
        if retries:
            task.set_retry(retries, backoff_duration="5s", backoff_factor=2.0, backoff_max_duration="120s")
        return task


PROFILES = (
    # A step waits for others to work, or counts; two processors and 8 GB are the least that Vertex AI has.
    Profile("vertex", cpu="2", memory="8G"),
    Profile("kubeflow", cpu="1", memory="2G"),
)
