"""Manifests of jobs and notes on models, in the bucket."""

from __future__ import annotations

import contextlib
import json
import logging
import platform
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from vertex_tuning import __version__
from vertex_tuning.errors import ConfigurationError, LineageError, ServiceError, SpecError
from vertex_tuning.jobs import Jobs, TuningJob
from vertex_tuning.journal import LABEL
from vertex_tuning.lineage import bucket
from vertex_tuning.lineage.bucket import FOLDER, SCHEMA
from vertex_tuning.lineage.chain import Json, Link, Parent, data_of, facts
from vertex_tuning.lineage.folders import NOTES, TUNING, manifest_of
from vertex_tuning.models import Models, TunedModel

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection
    from vertex_tuning.specs import Spec

log = logging.getLogger(__name__)

_MODEL = re.compile(
    r"projects/[^/]+/locations/(?P<location>[^/]+)/models/(?P<id>[^/@]+)(?:@(?P<version>[^/]+))?"
)
_FOLLOWED = ("projects/", "gs://")
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_PACKAGES = ("google-genai", "google-cloud-aiplatform", "google-cloud-storage")
_DEEPEST = 32
"""Links of a chain that are followed; no chain of models is longer, a ring would be."""


class Lineage:
    """What models of a project were made from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Writing

    def begin(
        self, key: str, spec: Spec, data: Mapping[str, str], note: Mapping[str, Any] | None = None
    ) -> None:
        """Write the manifest of a job that is about to be asked for. Where that fails, a log line says so: the job goes on.

        Args:
            key: That the job will bear as its label.
            spec: What is asked for.
            data: `gs://` URIs by role: `training`, `validation`.
            note: What else belongs to it: the run of a pipeline, say.
        """
        settings = spec.model_dump(
            mode="json",
            exclude={"training", "validation", "reward", "labels"},
            exclude_none=True,
            exclude_defaults=True,
        )
        given = spec.options()
        rewards = {name: value for name, value in given.items() if "reward" in name}
        manifest = {
            "schema": SCHEMA,
            "kind": "tuning",
            "key": key,
            "made": _now(),
            "project": self._connection.project,
            "location": self._connection.location,
            "method": spec.method,
            "settings": settings,
            **({"reward": _plain(rewards)} if rewards else {}),
            "labels": dict(spec.labels),
            "parents": [asdict(parent) for parent in _parents(settings)],
            "versions": _versions(),
            **({"note": _plain(dict(note))} if note else {}),
        }
        try:
            manifest["data"] = {role: bucket.described(self._connection, uri) for role, uri in data.items()}
            write, connection = bucket.write, self._connection
            write(connection, connection.ensure_bucket(), f"{FOLDER}/jobs/{key}.json", manifest)
            if settings.get("output_uri"):  # of an open model's weights, the folder is all that is known
                place, folder = bucket.split(settings["output_uri"])
                write(
                    connection,
                    place,
                    f"{folder}/{NOTES}/{_stamp(manifest['made'])}-{TUNING}-{key}.json",
                    manifest,
                )
        except (ServiceError, ConfigurationError) as error:
            log.warning("no manifest was written, and the job's lineage will have a gap: %s", error)

    def note(
        self,
        model: TunedModel | str,
        kind: str,
        body: Mapping[str, Any],
        *,
        parents: Sequence[Parent] = (),
    ) -> str:
        """Note something of a model that is there: an evaluation, a gate, the run that made it.

        Args:
            model: A tuned model, its name, or the `gs://` folder of weights.
            kind: Such as `evaluation`, `gate`, `training`: letters, digits, `-` and `_`.
            body: What there is to say, as JSON.
            parents: What weights in a folder were made from; the service knows it of its own models.

        Returns:
            `gs://` URI of the note.

        Raises:
            SpecError: VT316, not a model.
            LineageError: VT761, not a kind of note.
            ServiceError: It cannot be written.
            ConfigurationError: VT108, no bucket is set.
        """
        if _KIND.fullmatch(kind) is None or kind == TUNING:
            raise LineageError(
                "VT761", f'"{kind}" is no kind of note', where="kind", fix="such as evaluation"
            )
        place, folder = self._place(_name(model))
        made = _now()
        entry = {
            "schema": SCHEMA,
            "kind": kind,
            "made": made,
            "model": _name(model),
            "body": _plain(body),
            "parents": [asdict(parent) for parent in parents],
            "versions": _versions(),
        }
        name = f"{folder}/{_stamp(made)}-{kind}-{secrets.token_hex(4)}.json"
        return bucket.write(self._connection, place, name, entry)

    # Reading

    def of(self, model: TunedModel | str) -> Link:
        """The chain of a model: itself, what it was made from, what that was made from...

        Args:
            model: A tuned model, its name or id, or the `gs://` folder of weights.

        Raises:
            SpecError: VT316, not a model's name.
            ServiceError: VT501 with code 404, there is none.
        """
        found = Models(self._connection).get(model) if isinstance(model, str) else model
        return self._link(found, Parent("", _name(found)), ())

    def _link(self, model: TunedModel, of: Parent, above: tuple[str, ...]) -> Link:
        name = _name(model)
        notes = tuple(self._notes(name))
        job = bucket.or_none(lambda: Jobs(self._connection).of(model))
        manifest = self._manifest(job) if job is not None else None
        if name.startswith("gs://"):
            manifest = manifest_of(self._connection, name)
        remark = ""
        if job is None and manifest is None and not notes:
            remark = "nothing is written down about it"
        elif job is not None and manifest is None:
            remark = "no manifest: the job was not asked for by vertex-tuning, or with another bucket"
        told = [Parent(**parent) for note in notes for parent in note.get("parents", ())]
        if manifest is not None:
            told = [Parent(**parent) for parent in manifest["parents"]] + told
        elif job is not None and job.base_model:
            told = [Parent("base", job.base_model), *told]
        return Link(
            name=name,
            role=of.role,
            checkpoint=of.checkpoint,
            job=facts(job) if job is not None else {},
            manifest=manifest or {},
            notes=notes,
            parents=tuple(self._parent(parent, (*above, name)) for parent in dict.fromkeys(told)),
            remark=remark,
        )

    def _parent(self, of: Parent, above: tuple[str, ...]) -> Link:
        if of.name in above or len(above) >= _DEEPEST:
            return Link(of.name, of.role, of.checkpoint, remark="it stands above already")
        if not of.name.startswith(_FOLLOWED):  # a base model, or whatever else has no history here
            return Link(of.name, of.role, of.checkpoint)
        model = bucket.or_none(lambda: Models(self._connection).get(of.name))
        if model is None:
            return Link(of.name, of.role, of.checkpoint, remark="it is gone")
        return self._link(model, of, above)

    def _manifest(self, job: TuningJob) -> Json | None:
        """By the label of a job, in the bucket of now or in that of its data."""
        key = job.labels.get(LABEL)
        if not key:
            return None
        places = {bucket.split(uri)[0]: None for uri in data_of(job).values()}
        with contextlib.suppress(ConfigurationError):
            ours = (self._connection.ensure_bucket(), self._connection.artifacts_bucket)  # that of a step
            places = {**dict.fromkeys(ours), **places}
        for place in places:
            found = bucket.read(self._connection, place, f"{FOLDER}/jobs/{key}.json")
            if found is not None:
                return found
        return None

    def _notes(self, name: str) -> list[Json]:
        try:
            place, folder = self._place(name)
            places = {place: None}
            if not name.startswith("gs://"):
                places[self._connection.artifacts_bucket] = None  # where a step notes something
        except ConfigurationError:
            return []
        found = [one for place in places for one in bucket.below(self._connection, place, folder)]
        return [one for one in found if one.get("kind") != TUNING]

    # Where

    def _place(self, name: str) -> tuple[str, str]:
        """Bucket and folder of the notes of a model."""
        if name.startswith("gs://"):
            place, folder = bucket.split(name)
            return place, f"{folder}/{NOTES}".lstrip("/")
        found = _MODEL.fullmatch(name)
        if found is None:
            fix = "projects/PROJECT/locations/LOCATION/models/ID@VERSION, or a gs:// folder"
            raise SpecError("VT316", f'"{name}" is not the name of a tuned model', fix=fix)
        of = f"{found['location']}/{found['id']}@{found['version'] or '1'}"
        return self._connection.ensure_bucket(), f"{FOLDER}/models/{of}"


def _parents(settings: Mapping[str, Any]) -> Iterator[Parent]:
    yield Parent("base", settings["base_model"], settings.get("checkpoint_id") or "")
    if settings.get("custom_base_model"):
        yield Parent("weights", settings["custom_base_model"])
    if settings.get("teacher"):
        yield Parent("teacher", settings["teacher"])


def _name(model: TunedModel | str) -> str:
    return model if isinstance(model, str) else (model.name or model.output_uri)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _stamp(time: str) -> str:
    """A time in the name of an object."""
    return time.replace("-", "").replace(":", "")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return json.loads(
        json.dumps(
            value, default=lambda item: getattr(item, "model_dump", lambda **_: str(item))(mode="json")
        )
    )


def _versions() -> dict[str, str]:
    found = {"vertex-tuning": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
