"""What every way of tuning has in common: a spec, held against the catalog before anything is sent."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, SpecError
from vertex_tuning.journal import LABEL

if TYPE_CHECKING:
    from vertex_tuning.config import Config

MODEL_NAME = re.compile(r"projects/[^/]+/locations/([^/]+)/models/[^/]+")
_OBJECT = re.compile(r"gs://[^/]+/.+\.jsonl")
_ACCOUNT = re.compile(r"[^@\s/]+@[a-z0-9.-]+\.gserviceaccount\.com")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_ADAPTER_SIZES = {1: "ONE", 2: "TWO", 4: "FOUR", 8: "EIGHT", 16: "SIXTEEN", 32: "THIRTY_TWO"}


class Spec(BaseModel):
    """What is the same for every way of tuning."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)

    method: ClassVar[str]
    """As the catalog calls it: `supervised`, `preference`, `reinforcement`, `distillation`."""
    title: ClassVar[str]
    """For people: `supervised tuning`."""

    base_model: str
    """A model of the catalog (`gemini-2.5-flash`), or a tuned model to tune on: its name (`projects/.../models/7@1`), itself, or
    one of its checkpoints."""

    training: Any
    """A path to a JSONL file, a `gs://` URI, or rows."""

    validation: Any = None
    """Held-out rows, in the same form."""

    epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the training set. Left out, the service decides by the set's size."""

    learning_rate_multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Factor on the recommended learning rate. Left out: 1."""

    adapter_size: int | None = None
    """Rank of the LoRA adapter: 1, 2, 4, 8, 16 or 32, as far as the base model allows (see `catalog`)."""

    last_checkpoint_only: bool = False
    """Keep the result alone. Otherwise one checkpoint per epoch is kept, up to ten."""

    checkpoint_id: str | None = None
    """Which checkpoint of a tuned model to tune on from. Left out: its default checkpoint."""

    display_name: str | None = None
    """Name of the tuned model, for people. The same name as a model that is tuned on: a new version of it."""

    description: str | None = None
    """What this is, for people."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Copied to the model and its endpoints, beside those of the project's settings: lower-case letters, digits, `_` and `-`."""

    kms_key: str | None = None
    """`projects/.../cryptoKeys/KEY`: customer-managed encryption. Left out: as the project's settings say; `""`: without."""

    service_account: str | None = None
    """E-mail of the service account that the job runs as."""

    def __init__(self, **fields: Any) -> None:
        base: Any = fields.get("base_model")
        if callable(getattr(base, "as_base", None)):
            # A tuned model, or one of its checkpoints: it knows by which fields it is tuned on.
            fields = {
                **base.as_base(),
                **{name: value for name, value in fields.items() if name != "base_model"},
            }
        faults: list[Fault] = []
        wrong: set[Any] = set()
        try:
            super().__init__(**fields)
        except ValidationError as error:
            items = error.errors(include_url=False, include_input=False)
            faults = [self._fault(item) for item in items]
            # What is right so far is held against the catalog all the same: all faults at once.
            wrong = {item["loc"][0] for item in items}
            rest = {name: value for name, value in fields.items() if name not in wrong}
            super().__init__(**{**self._stand_ins(wrong), "training": (), **rest})
        faults += self._faults(wrong)
        if faults:
            raise _refusal(faults)

    @property
    def continues(self) -> bool:
        """Whether it goes on from a tuned model."""
        return MODEL_NAME.fullmatch(self.base_model) is not None

    @property
    def needed(self) -> Sequence[str]:
        """References that every row is to have."""
        return ()

    def check_location(self, location: str) -> None:
        """Hold the base model against the job's region.

        Raises:
            SpecError: VT305, it cannot be tuned there.
        """
        tuned = MODEL_NAME.fullmatch(self.base_model)
        if tuned is not None:
            # From Gemini 3 on, a tuned model lives in the multi-region round its job's region.
            if tuned[1] in (location, "eu" if location.startswith("europe-") else "us"):
                return
            raise SpecError(
                "VT305",
                f"the tuned model is in {tuned[1]}, the job would run in {location}",
                where="location",
                why="A model is tuned on in its own region.",
                fix=f"location={tuned[1]}",
            )
        for fault in catalog.fit(self.base_model, self.method, region=location).faults:
            raise _refusal([fault])

    def warnings(self, location: str, today: date) -> list[Fault]:
        """What speaks against a job, and keeps nobody from asking for it: VT325, the base model's last day has come.

        Args:
            location: Where the job is to run.
            today: The day.
        """
        base = catalog.models().get(self.base_model)
        if base is None or base.retires is None or today < base.retires:
            return []
        newer = catalog.newest(base, self.method, location)
        told = catalog.cell(base.id, "retires")
        what = f"Google was to retire {base.id} on {base.retires} ({told.source.title}, read {told.date})"
        why = "It may have been put off; if not, the service refuses the job."
        fix = (
            f'base_model="{newer.id}"'
            if newer.id != base.id
            else f"vertex-tuning catalog --method {self.method}"
        )
        return [Fault("VT325", what, "base_model", why, fix)]

    def check_tuned_from(self, base: catalog.BaseModel, made_by: str, location: str) -> None:
        """Hold a tuned model to tune on against the catalog, now that it is known what it is.

        Args:
            base: The model that it was tuned from.
            made_by: The way of tuning that made it.
            location: Where the job is to run.

        Raises:
            SpecError: Its base model does not take this way of tuning, there, or the adapter, or the key; VT322, the service does
                not go on from such a model in this way.
        """
        faults = self._model_faults(base) or list(catalog.fit(base.id, self.method, region=location).faults)
        from_ = catalog.limits(self.method).get("tunes_on", [])
        if made_by not in from_ and self.method != "distillation":
            what = f"{self.title} does not go on from a model of {catalog.tuning(made_by)}"
            fix = f"a model of {' or '.join(map(catalog.tuning, from_))}, or a base model"
            faults.append(Fault("VT322", what, "base_model", "The service would refuse the job.", fix))
        if faults:
            raise _refusal(faults)

    def completed(self, config: Config) -> Self:
        """The same, with a project's settings where it says nothing itself: labels, and the key.

        Raises:
            SpecError: VT311, the base model does not take the key; VT309, too many labels.
        """
        update: dict[str, Any] = {"labels": {**config.labels, **self.labels}}
        if self.kms_key is None:
            update["kms_key"] = config.kms_key
        found = self.model_copy(update=update)
        if faults := found._faults(set()):
            raise _refusal(faults)
        return found

    def put_into(self, folder: str) -> Self:
        """The same, with this `gs://` folder for the checkpoints, where they are the customer's and it names none."""
        del folder
        return self

    def _faults(self, wrong: set[Any]) -> list[Fault]:
        faults: list[Fault] = []
        if self.continues:
            faults += self._adapter_faults(_all_adapter_sizes())
        elif "base_model" not in wrong:
            try:
                faults += self._model_faults(catalog.base_model(self.base_model, self.method))
            except SpecError as error:
                faults.append(error.fault)
            if self.checkpoint_id:
                fix = "leave it out, or tune on a tuned model"
                faults.append(Fault("VT306", "a base model has no checkpoints", "checkpoint_id", fix=fix))
        faults += _dataset_faults("training", self.training)
        if self.validation is not None:
            faults += _dataset_faults("validation", self.validation)
        most = catalog.limits(self.method)["max_epochs"]
        if self.epochs is not None and self.epochs > most:
            faults.append(Fault("VT315", f"more than {most} passes", "epochs", fix=f"1 to {most}"))
        longest = catalog.limits("display_name")["max_bytes"]
        if self.display_name and len(self.display_name.encode(errors="replace")) > longest:
            faults.append(
                Fault("VT308", f"more than {longest} bytes of UTF-8", "display_name", fix="shorten it")
            )
        faults += [
            Fault("VT315", "half of a letter stands in it, which is no text", name, fix="write it as UTF-8")
            for name in ("display_name", "description")
            if not _is_text(getattr(self, name) or "")
        ]
        faults += _label_faults(self.labels)
        if self.service_account and not _ACCOUNT.fullmatch(self.service_account):
            what = f'"{self.service_account}" is not a service account'
            fix = "NAME@PROJECT.iam.gserviceaccount.com"
            faults.append(Fault("VT315", what, "service_account", fix=fix))
        if self.kms_key and not _KMS_KEY.fullmatch(self.kms_key):
            fix = "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
            faults.append(Fault("VT315", f'"{self.kms_key}" is not the name of a key', "kms_key", fix=fix))
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        found = catalog.fit(
            base.id, self.method, mode=getattr(self, "mode", None), adapter_size=self.adapter_size
        )
        faults = list(found.faults)
        if self.kms_key and self.method in base.methods and not base.cmek:
            what = f"{base.id} does not take customer-managed keys"
            faults.append(Fault("VT311", what, "kms_key", fix=self._without_key(base)))
        return faults

    def _without_key(self, base: catalog.BaseModel) -> str:
        """What to do where a model takes no key of the customer's."""
        able = [
            model.id
            for model in catalog.models().values()
            if self.method in model.methods and model.cmek and not model.retired
        ]
        near = difflib.get_close_matches(base.id, able, n=1, cutoff=0.0)
        return f'kms_key="" for none, or take {near[0]}' if near else 'kms_key="" for none'

    def _adapter_faults(self, sizes: Sequence[int]) -> list[Fault]:
        """Of a tuned model to tune on: which model it was made from is not known here."""
        if self.adapter_size is None or self.adapter_size in sizes:
            return []
        what = f"there is no adapter of size {self.adapter_size}"
        fix = f"one of: {', '.join(str(size) for size in sizes)}"
        return [Fault("VT304", what, "adapter_size", "The service would refuse the job, or answer 404.", fix)]

    @classmethod
    def _stand_ins(cls, wrong: set[Any]) -> dict[str, Any]:
        """Values for fields that must be there and are wrong or missing: the rest is looked at all the same."""
        needed = {
            name: item for name, item in cls.model_fields.items() if item.is_required() and name in wrong
        }
        return {name: "" if item.annotation is str else None for name, item in needed.items()}

    @classmethod
    def _fault(cls, item: Any) -> Fault:
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(where, cls.model_fields, n=1)
            fix = f"do you mean {near[0]}?" if near else f"see `help({cls.__name__})`"
            return Fault("VT314", f"{cls.title} has no such field", where, fix=fix)
        if item["type"] == "missing":
            return Fault("VT315", f"{cls.title} needs it", where, fix=f"give it; see `help({cls.__name__})`")
        return Fault("VT315", item["msg"][:1].lower() + item["msg"][1:], where)

    def options(self) -> dict[str, Any]:
        """As google-genai's `CreateTuningJobConfig` has it, but for the data and the labels; without what is left out."""
        given = {
            "tuned_model_display_name": self.display_name,
            "description": self.description,
            "epoch_count": self.epochs,
            "learning_rate_multiplier": self.learning_rate_multiplier,
            "adapter_size": f"ADAPTER_SIZE_{_ADAPTER_SIZES[self.adapter_size]}"
            if self.adapter_size
            else None,
            "export_last_checkpoint_only": self.last_checkpoint_only or None,
            "pre_tuned_model_checkpoint_id": self.checkpoint_id,
            "encryption_spec": {"kms_key_name": self.kms_key} if self.kms_key else None,
        }
        return {name: value for name, value in given.items() if value is not None}


def _is_text(value: str) -> bool:
    """Whether it can be sent: what a shell hands on in another encoding than its own cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _all_adapter_sizes() -> list[int]:
    return sorted({size for model in catalog.models().values() for size in model.adapter_sizes})


def _dataset_faults(name: str, dataset: Any) -> list[Fault]:
    if isinstance(dataset, str) and dataset.startswith("gs://"):
        if _OBJECT.fullmatch(dataset):
            return []
        why = "The service takes one object, and by this ending alone."
        return [Fault("VT318", f'"{dataset}" is not a JSONL object', name, why, "gs://bucket/name.jsonl")]
    if isinstance(dataset, str | os.PathLike) and os.fspath(dataset):
        return []
    if isinstance(dataset, Iterable) and not isinstance(dataset, str | bytes | Mapping):
        return []
    what = "an empty path" if dataset == "" else f"{type(dataset).__name__} is not a data set"
    return [Fault("VT315", what, name, fix="a path, a gs:// URI, or rows: [row, ...]")]


def _label_faults(labels: Mapping[str, str]) -> list[Fault]:
    limits = catalog.limits("labels")
    most, longest = limits["max_count"] - 1, limits["max_length"]
    faults = []
    if len(labels) > most:
        why = f"A resource has up to {most + 1}, and one tells this job from others like it."
        faults.append(Fault("VT309", f"{len(labels)} labels", "labels", why, f"up to {most}"))
    for key, value in labels.items():
        where = f"labels.{key}" if key else "labels"
        if key == LABEL:
            faults.append(
                Fault("VT309", "this key is taken: by it a job is found again", where, fix="another key")
            )
        elif not key or not all(len(text) <= longest and _is_label(text) for text in (key, value)):
            fix = f"lower-case letters, digits, _ and -, up to {longest} characters"
            faults.append(Fault("VT309", f'"{key}": "{value}" is not a label', where, fix=fix))
    return faults


def _is_label(text: str) -> bool:
    return all(char in "_-" or (char.isalnum() and char == char.lower()) for char in text)


def _refusal(faults: list[Fault]) -> SpecError:
    if len(faults) == 1:
        only = faults[0]
        return SpecError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    return SpecError("VT300", f"the spec has {len(faults)} faults", faults=faults)
