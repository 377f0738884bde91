"""A model, what it was made from, what that was made from..."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_tuning.jobs import TuningJob

Json = dict[str, Any]
_SHOWN_LETTERS = 160
_PARENTS = ("base_model", "checkpoint_id", "custom_base_model", "teacher")
"""Settings that name parents, which are told by themselves."""
_SPECS = (
    "supervised_tuning_spec",
    "preference_optimization_spec",
    "distillation_spec",
    "reinforcement_tuning_spec",
)


@dataclass(frozen=True, slots=True)
class Parent:
    """What a model was made from."""

    role: str
    """`base`, `teacher`, `weights`, `reward`..."""
    name: str
    """Of a base model, a tuned one, or a `gs://` folder."""
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A model in a chain."""

    name: str
    role: str = ""
    """What it was to the model above it; empty for the first."""
    checkpoint: str = ""
    job: Json = field(default_factory=dict)
    """What the service says of the job that made it: `name`, `state`, `created`, `ended`, `data`."""
    manifest: Json = field(default_factory=dict)
    """What was written down before the job; empty where nothing was."""
    notes: tuple[Json, ...] = ()
    """What was noted of the model later, oldest first."""
    parents: tuple[Link, ...] = ()
    remark: str = ""
    """Why there is no more to tell, where that is not plain."""

    def to_json(self) -> Json:
        """As a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self._lines(""))

    def _lines(self, indent: str) -> Iterator[str]:
        said = f"{self.role}: {self.name}" if self.role else self.name
        yield f"{indent}{said}{f', checkpoint {self.checkpoint}' if self.checkpoint else ''}"
        inner = f"{indent}  "
        if self.job:
            yield f"{inner}job        {self.job['name']}, {self.job['state']}"
        made = self.manifest
        if made:
            yield f"{inner}asked for  {made['made']}, {made['method']}"
            for name, item in made["data"].items():
                yield f"{inner}{name:<10} {item['uri']}{_digest_words(item)}"
            settings = ", ".join(
                f"{name} {_brief(value)}" for name, value in made["settings"].items() if name not in _PARENTS
            )
            yield f"{inner}settings   {settings or 'as the service chooses'}"
            yield f"{inner}versions   {', '.join(f'{name} {value}' for name, value in made['versions'].items())}"
            for name, value in made.get("note", {}).items():
                yield f"{inner}{name:<10} {_brief(value)}"
        else:
            for name, uri in self.job.get("data", {}).items():
                yield f"{inner}{name:<10} {uri}"
        for note in self.notes:
            yield f"{inner}{note['kind']:<10} {note['made']}: {_told(note['body'])}"
        if self.remark:
            yield f"{inner}({self.remark})"
        for parent in self.parents:
            yield from parent._lines(inner)


def _digest_words(item: Json) -> str:
    known = [(name, item[name]) for name in ("sha256", "crc32c") if item.get(name)]
    return "".join(f", {name} {value[:16]}" for name, value in known[:1])


def _told(body: Json) -> str:
    """Its words and figures; lists and tables are for machines."""
    shown = {
        name: value for name, value in body.items() if isinstance(value, str | int | float) and value != ""
    }
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {_brief(value)}"
        for name, value in shown.items()
    )


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}..."


def facts(job: TuningJob) -> Json:
    """What the service says of a job."""
    resource = job.resource
    times = {"created": resource.create_time, "started": resource.start_time, "ended": resource.end_time}
    known = {name: time.isoformat() for name, time in times.items() if time is not None}
    return {"name": job.name, "state": job.state, **known, "data": data_of(job)}


def data_of(job: TuningJob) -> dict[str, str]:
    """`gs://` URIs by role, as the job has them, whatever its way of tuning."""
    found = {}
    for name in (
        "supervised_tuning_spec",
        "preference_optimization_spec",
        "distillation_spec",
        "reinforcement_tuning_spec",
    ):
        spec = getattr(job.resource, name, None)
        for role, attribute in (
            ("training", "training_dataset_uri"),
            ("validation", "validation_dataset_uri"),
        ):
            uri = getattr(spec, attribute, None)
            if isinstance(uri, str) and uri:
                found[role] = uri
    return found
