"""`client.pipelines`: ours and anybody's, checked, then run here, or handed to the service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog, data
from vertex_tuning.pipelines import checking, compiled, running, scheduling, stored, submitting, templates
from vertex_tuning.pipelines.compiled import Compiled

if TYPE_CHECKING:
    from datetime import timedelta

    from vertex_tuning.connection import Connection
    from vertex_tuning.pipelines.running import LocalRun
    from vertex_tuning.pipelines.scheduling import PipelineSchedule
    from vertex_tuning.pipelines.stored import Pruning, StoredRun
    from vertex_tuning.pipelines.submitting import PipelineRun
    from vertex_tuning.pipelines.templates import Template

AnyPipeline = Compiled | str | Path


class Pipelines:
    """Pipelines, and their runs in a project and location.

    A pipeline is one of ours by its name, a compiled YAML by its path, or what lies in a registry by its address
    (`https://us-central1-kfp.pkg.dev/my-project/vt-pipelines/supervised/v1`). Its parameters are checked before anything is sent.
    A file that is given where a data set is wanted (`training_data`) is checked as its steps will check it, and uploaded under
    the hash of its content.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> list[Compiled]:
        """The pipelines that come with this package."""
        return [compiled.load(name) for name in compiled.names()]

    def load(self, pipeline: AnyPipeline, *, target: str = "vertex") -> Compiled:
        """A compiled pipeline: what it takes, what its steps are.

        Args:
            pipeline: The name of one of ours, the path of a YAML file, or an address in a registry.
            target: What ours was compiled for, `vertex` or `kubeflow`.

        Raises:
            PipelineError: VT722 it is no address, VT726 or VT730 there is none, VT731 the file is no compiled pipeline.
        """
        if isinstance(pipeline, str) and templates.is_address(pipeline):
            return templates.fetch(self._connection, pipeline)
        return pipeline if isinstance(pipeline, Compiled) else compiled.load(str(pipeline), target=target)

    def run(
        self,
        pipeline: AnyPipeline,
        parameters: Mapping[str, Any] | None = None,
        *,
        name: str = "",
        root: Path | None = None,
        caching: bool | None = None,
        fail_fast: bool = False,
    ) -> LocalRun:
        """Run a pipeline on this machine, in processes of its own. Its steps work where this client does.

            with client.pipelines.run("supervised", {"training_data": "train.jsonl"}) as run:
                for event in run:
                    print(event)

        Args:
            pipeline: The name of one of ours, the path of a YAML file, or an address in a registry.
            parameters: By name.
            name: Of the run; left out: the pipeline's name and the time.
            root: Folder for the outputs. Left out: one below the home of this package.
            caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
            fail_fast: After a failure begin nothing more.

        Raises:
            PipelineError: VT710 kfp is not installed; VT730 to VT735, the pipeline or its parameters.
            DatasetError: VT201, a file of data that is not there; every fault of those that its steps would check.
        """
        found = self.load(pipeline)
        given = self._sent(found, parameters or {})
        return running.run(
            found.spec,
            given,
            name=name,
            root=root,
            caching=caching,
            fail_fast=fail_fast,
            environment=self._connection.environment(),
        )

    def submit(
        self,
        pipeline: AnyPipeline,
        parameters: Mapping[str, Any] | None = None,
        *,
        image: str = "",
        kubeflow: str = "",
        **job: Any,
    ) -> PipelineRun:
        """Hand a pipeline to Vertex AI Pipelines, or to a Kubeflow endpoint.

        Args:
            pipeline: The name of one of ours, the path of a YAML file, or an address in a registry.
            parameters: By name.
            image: Where you keep our image (`us-docker.pkg.dev/.../vertex-tuning@sha256:...`): Vertex AI has to find it there.
                Left out: that of this version in the registry of the settings, where they name one.
            kubeflow: Address of an endpoint, in place of Vertex AI Pipelines; ours are taken as compiled for it.
            job: As `submitting.submit` has it: `name`, `display_name`, `root`, `location`, `labels`, `service_account`,
                `network`, `caching`, `fail_fast`; for Kubeflow `name`, `experiment`, `root`, `caching`, `token`.

        Raises:
            PipelineError: VT730 to VT735, the pipeline or its parameters.
            DatasetError: As `run`.
            ServiceError: The service refused it.
        """
        target = "kubeflow" if kubeflow else "vertex"
        found = self.load(pipeline, target=target)
        given = self._sent(found, parameters or {})
        spec = self._prepared(found, image)
        if kubeflow:
            return submitting.submit_to_kubeflow(kubeflow, spec, given, **job)
        return submitting.submit(self._connection, spec, given, template=_address(found), **job)

    def schedule(
        self,
        pipeline: AnyPipeline,
        parameters: Mapping[str, Any] | None = None,
        *,
        cron: str,
        image: str = "",
        **job: Any,
    ) -> PipelineSchedule:
        """Have the service start a pipeline again and again.

        Args:
            pipeline: The name of one of ours, the path of a YAML file, or an address in a registry.
            parameters: By name. A data set is sent as it is now; each run reads what lies there then.
            cron: Five fields, in UTC or behind `TZ=Europe/Berlin `: `0 3 * * 1`.
            image: As for `submit`.
            job: As `scheduling.schedule` has it: `max_runs`, `max_concurrent`, `start`, `end`...
        """
        found = self.load(pipeline)
        given = self._sent(found, parameters or {})
        spec = self._prepared(found, image)
        return scheduling.schedule(self._connection, spec, given, cron=cron, template=_address(found), **job)

    def push(
        self, pipeline: AnyPipeline, *, tags: Sequence[str] = (), image: str = "", registry: str = ""
    ) -> Template:
        """Put a pipeline into a registry, ready for this place: what starts it there needs its address and its parameters.

            template = client.pipelines.push("supervised", tags=["v1"])
            client.pipelines.submit(template.uri, {"training_data": "gs://my-bucket/train.jsonl"})

        What is there already is the same version, and is not sent again.

        Args:
            pipeline: The name of one of ours, the path of a YAML file, or an address in a registry.
            tags: Names for this version; those that lead to another one are moved.
            image: As for `submit`.
            registry: `https://us-central1-kfp.pkg.dev/my-project/vt-pipelines`. Left out: that of the settings (`templates`).

        Raises:
            PipelineError: VT710 kfp is not installed; VT721 to VT727, registry, name or tags; VT730, VT731, the pipeline.
            ServiceError: VT501, the registry refused it.
        """
        spec = self._prepared(self.load(pipeline), image)
        return templates.push(
            self._connection, spec, registry or self._connection.config.templates or "", tags
        )

    def get(self, name: str) -> PipelineRun:
        """A run at the service, by its name or its id."""
        return submitting.get(self._connection, name)

    def runs(self, *, filter: str = "") -> Iterator[PipelineRun]:
        """Runs at the service, newest first; `filter` as the service understands it: `display_name="weekly"`."""
        return submitting.runs(self._connection, filter=filter)

    def stored_runs(self) -> Sequence[StoredRun]:
        """What `run` has left on this machine, newest first: how each ended, and what it takes on the disk."""
        return stored.stored_runs()

    def prune(
        self,
        names: Sequence[str] = (),
        *,
        older_than: timedelta | None = None,
        keep: int = 0,
        failed: bool = False,
        dry_run: bool = False,
    ) -> Pruning:
        """Remove what `run` has left on this machine: of the runs that are named, else of all, as far as the rest allows.

            client.pipelines.prune(older_than=timedelta(days=7), keep=3)

        A run that goes on stays, and so does one of which another one that stays has outputs from the cache. What the cache knows
        of those that go is forgotten, so that later runs do it again. Models, jobs and objects at the service are not touched.

        Args:
            names: Of the runs; if one of them cannot be removed, none is.
            older_than: Only those that ended longer ago.
            keep: So many of each pipeline stay, the newest.
            failed: Only those that did not succeed: failed, cancelled, interrupted.
            dry_run: Only say what would go.

        Raises:
            PipelineError: VT728, no run has this name; VT729, one that was named has to stay, or the disk refuses.
        """
        return stored.prune(names, older_than=older_than, keep=keep, failed=failed, dry_run=dry_run)

    def _prepared(self, found: Compiled, image: str) -> dict[str, Any]:
        """A pipeline for this place; one that was pushed ready for it stays as it is."""
        if not image and self._connection.config.images:
            from vertex_tuning.custom import image_for

            image = image_for(self._connection, catalog.host("cpu"))
        return found.prepared(image=image, environment=self._connection.job_environment())

    def _sent(self, found: Compiled, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters, checked, with data sets in the bucket."""
        given = found.check(parameters)
        checking.check(found, given)
        for name, value in given.items():
            if found.parameters[name].is_data and value and not data.in_cloud_storage(value):
                given[name] = data.upload(self._connection, value)
        return given


def _address(found: Compiled) -> str:
    """Where it lies in a registry; empty where it is from elsewhere."""
    return found.source if templates.is_address(found.source) else ""
