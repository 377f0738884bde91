"""Runs of a pipeline at a Kubeflow endpoint, by `kfp.Client`.

Kubeflow gives a run its id; so that a lost answer starts no second one, its display name carries a key that stands in the journal
first, and it is looked for by that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vertex_tuning.config import home
from vertex_tuning.errors import PipelineError
from vertex_tuning.journal import Journal
from vertex_tuning.once import Once
from vertex_tuning.pipelines.running import Task, pipeline_name, stem
from vertex_tuning.pipelines.submitting import PipelineRun, error_of, in_order
from vertex_tuning.retries import again, passed_over

_STATES = {"CANCELING": "CANCELLING", "CANCELED": "CANCELLED"}


class KubeflowRun(PipelineRun):
    """A run at a Kubeflow endpoint; a handle, which may be made again from its id at any time (`get`)."""

    def __init__(self, client: Any, resource: Any) -> None:
        super().__init__(client, resource)
        self._client = client

    @property
    def name(self) -> str:
        """Its id."""
        return str(self._resource.run_id)

    @property
    def state(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING, CANCELLED; see `refresh`."""
        return _state(self._resource.state or "PENDING")

    @property
    def labels(self) -> dict[str, str]:
        """None: Kubeflow's runs have no labels."""
        return {}

    @property
    def tasks(self) -> list[Task]:
        """Its steps, in the order in which they began; numbered here, since Kubeflow's ids are no numbers."""
        details = (self._resource.run_details and self._resource.run_details.task_details) or []
        numbers = {detail.task_id: number for number, detail in enumerate(details, 1)}
        return in_order(
            Task(
                id=numbers[detail.task_id],
                name=str(detail.display_name),
                state=_state(detail.state),
                parent=numbers.get(detail.parent_task_id),
                started=_stamp(detail.start_time),
                ended=_stamp(detail.end_time),
                error=error_of(detail.error),
            )
            for detail in details
        )

    def to_json(self) -> dict[str, Any]:
        """The resource as JSON."""
        found: dict[str, Any] = json.loads(json.dumps(self._resource.to_dict(), default=str))
        return {key: value for key, value in found.items() if value is not None}

    def cancel(self) -> None:
        """Ask it to end; `wait()` tells when it has."""
        again(lambda: self._client.terminate_run(self.name))

    def delete(self) -> None:
        """Forget a run that has ended; no fault if it is gone."""
        with passed_over(404):
            again(lambda: self._client.delete_run(self.name))

    def _ask(self) -> Any:
        return self._client.get_run(self.name)


def submit(
    host: str,
    spec: Mapping[str, Any] | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "",
    experiment: str = "",
    caching: bool | None = None,
    root: str = "",
    token: str = "",
) -> KubeflowRun:
    """Start a compiled pipeline at a Kubeflow endpoint. A lost answer starts no second run.

    Args:
        host: `https://my-kubeflow.example.com/pipeline`.
        spec: The pipeline: a compiled YAML as a dictionary, or its file.
        parameters: By name, checked already.
        name: What the run is called; a key is added. Empty: the pipeline's name.
        experiment: Under which it stands; made where it is not there. Empty: "Default".
        caching: False: no step is taken from the cache; True: every step may be; None: as the pipeline says.
        root: Folder for the outputs; empty: the endpoint's own.
        token: Of the endpoint, where it wants one.

    Raises:
        PipelineError: VT710, kfp is not installed; VT712, not a compiled pipeline.
        ServiceError: VT501, the endpoint refused it; VT502, it does not answer.
        ConfigurationError: VT111, the journal cannot be written: no run without its key.
    """
    import yaml

    loaded = yaml.safe_load(spec.read_text(encoding="utf-8")) if isinstance(spec, Path) else spec
    title = name or stem(pipeline_name(loaded))
    client = connect(host, token)
    with contextlib.redirect_stdout(
        sys.stderr
    ):  # it prints links to its pages, and our output may be read by a program
        made = again(lambda: client.create_experiment(name=experiment or "Default"))

    def called(key: str) -> str:
        return f"{title} {key[:16]}"

    def find(key: str) -> list[KubeflowRun]:
        wanted = {"operation": "EQUALS", "key": "display_name", "stringValue": called(key)}
        text = json.dumps({"predicates": [wanted]})
        listed = again(lambda: client.list_runs(experiment_id=made.experiment_id, filter=text))
        return [KubeflowRun(client, run) for run in listed.runs or []]

    with tempfile.TemporaryDirectory(prefix="vertex-tuning-") as folder:
        file = Path(folder) / "pipeline.yaml"
        file.write_text(yaml.safe_dump(json.loads(json.dumps(loaded)), sort_keys=True), encoding="utf-8")

        def ask(key: str) -> KubeflowRun:
            with contextlib.redirect_stdout(sys.stderr):
                run = client.run_pipeline(
                    experiment_id=made.experiment_id,
                    job_name=called(key),
                    pipeline_package_path=str(file),
                    params=dict(parameters or {}),
                    pipeline_root=root or None,
                    enable_caching=caching,
                )
            return KubeflowRun(client, run)

        digest = hashlib.sha256(json.dumps([title, loaded, parameters], default=str).encode()).hexdigest()
        return Once(Journal(home() / "journal"), f"kubeflow {host}", find).create(digest, ask)


def get(host: str, name: str, *, token: str = "") -> KubeflowRun:
    """A run by its id."""
    client = connect(host, token)
    return KubeflowRun(client, again(lambda: client.get_run(name)))


def connect(host: str, token: str = "") -> Any:
    """`kfp.Client`; it asks the endpoint how it is.

    Raises:
        PipelineError: VT710, kfp is not installed.
        ServiceError: VT502, nobody answers.
    """
    if find_spec("kfp") is None:
        raise PipelineError(
            "VT710",
            "pipelines need kfp, which is not installed",
            fix="pip install 'vertex-tuning[pipelines]'",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is for version 2, and about versions of Python
        import kfp

        return again(lambda: kfp.Client(host=host, existing_token=token or None, namespace="kubeflow"))


def _stamp(moment: Any) -> str:
    return moment.isoformat().replace("+00:00", "Z") if moment and moment.year > 1970 else ""


def _state(value: Any) -> str:
    return _STATES.get(str(value), str(value))
