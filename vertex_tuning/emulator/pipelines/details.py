"""`jobDetail`: what a run has done so far, made of what its process tells."""

from __future__ import annotations

from typing import Any

from vertex_tuning.emulator.pipelines import request
from vertex_tuning.emulator.state import Database
from vertex_tuning.emulator.status import Code

Body = dict[str, Any]

_STATES = {"CACHED": "SKIPPED", "SKIPPED": "NOT_TRIGGERED"}
"""Vertex AI's words where the child has others: SKIPPED is by the cache there, NOT_TRIGGERED by a condition."""
_EXECUTIONS = {
    "RUNNING": "RUNNING",
    "SUCCEEDED": "COMPLETE",
    "SKIPPED": "CACHED",
    "FAILED": "FAILED",
    "CANCELLED": "CANCELLED",
}
_KINDS = {"step": "Container", "group": "Dag", "importer": "Importer"}
_VERSION = "0.0.1"


def contexts(job: Body) -> Body:
    """The pipeline and the run, as Vertex AI's metadata store names them."""
    parent, identifier = _store(job), job["name"].rsplit("/", 1)[1]
    pipeline = request.pipeline_of(job)
    times = {"createTime": job["createTime"], "updateTime": job["createTime"]}
    whole = {
        "name": f"{parent}/contexts/{pipeline}",
        "displayName": pipeline,
        "schemaTitle": "system.Pipeline",
        "schemaVersion": _VERSION,
        **times,
    }
    run = {
        "name": f"{parent}/contexts/{identifier}",
        "displayName": identifier,
        "schemaTitle": "system.PipelineRun",
        "schemaVersion": _VERSION,
        "parentContexts": [whole["name"]],
        **times,
    }
    return {"pipelineContext": whole, "pipelineRunContext": run}


def _store(job: Body) -> str:
    return f"{job['name'].rsplit('/pipelineJobs/', 1)[0]}/metadataStores/default"


class Details:
    """The tasks of one run.

    Args:
        db: Gives ids.
        job: The run.
    """

    def __init__(self, db: Database, job: Body) -> None:
        self._db = db
        self._job = job
        self._tasks: dict[int, Body] = {}

    @property
    def body(self) -> Body:
        """`jobDetail`."""
        return {**contexts(self._job), "taskDetails": list(self._tasks.values())}

    def unique(self, event: Body) -> str:
        """What the task of an event is called among the objects of the run."""
        return f"{event['task']}_{self._tasks[event['id']]['taskId']}"

    def take(self, event: Body, time: str) -> None:
        """What an event says of a task.

        Args:
            event: As the child tells it, its artifacts with the URIs that are to be shown.
            time: When it came.
        """
        known = self._tasks.get(event["id"])
        if known is None:
            known = self._tasks[event["id"]] = self._new(event, time)
        state = str(event["state"])
        self._set(known, _STATES.get(state, state), time)
        if known["state"] == "NOT_TRIGGERED":
            return
        known["execution"]["metadata"].update(
            {
                f"{kind}:{key}": value
                for kind, field in (("input", "arguments"), ("output", "parameters"))
                for key, value in event.get(field, {}).items()
            }
        )
        for field in ("inputs", "outputs"):
            if field in event:
                known[field] = {
                    key: {"artifacts": [self._artifact(one, time) for one in found]}
                    for key, found in event[field].items()
                }
        if "error" in event:
            known["error"] = event["error"]
            known["pipelineTaskStatus"][-1]["error"] = event["error"]

    def end(self, state: str, time: str, error: Body) -> None:
        """What still runs has ended with the run."""
        for known in self._tasks.values():
            if known["state"] == "RUNNING":
                self._set(known, state, time)
                known["error"] = error

    def _new(self, event: Body, time: str) -> Body:
        number = self._db.new_id()
        group = event.get("parent")
        found: Body = {
            "taskId": number,
            "taskName": event["task"],
            "createTime": time,
            "startTime": time,
            "inputs": {},
            "outputs": {},
            "pipelineTaskStatus": [],
            "execution": {
                "name": f"{_store(self._job)}/executions/{number}",
                "displayName": event["task"],
                "createTime": time,
                "schemaTitle": f"system.{_KINDS[event.get('kind', 'step')]}Execution",
                "schemaVersion": _VERSION,
                "metadata": {},
            },
        }
        if group in self._tasks:
            found["parentTaskId"] = self._tasks[group]["taskId"]
        return found

    @staticmethod
    def _set(known: Body, state: str, time: str) -> None:
        known["state"] = state
        known["pipelineTaskStatus"].append({"state": state, "updateTime": time})
        if state == "NOT_TRIGGERED":
            del known["startTime"], known["execution"]
        else:
            known["execution"].update(state=_EXECUTIONS[state], updateTime=time)
        if state != "RUNNING":
            known["endTime"] = time

    def _artifact(self, one: Body, time: str) -> Body:
        return {
            "name": f"{_store(self._job)}/artifacts/{self._db.new_id()}",
            "displayName": one["name"],
            "uri": one["uri"],
            "createTime": time,
            "updateTime": time,
            "state": "LIVE",
            "schemaTitle": one["schemaTitle"],
            "schemaVersion": _VERSION,
            "metadata": one["metadata"],
        }


def cancelled() -> Body:
    """The error of a run that was cancelled, and of its tasks."""
    return {"code": Code.CANCELLED.number, "message": "The pipeline job was cancelled."}
