"""Supervised tuning: learn by example."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, SpecError

Dataset = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""A path to a JSONL file, a `gs://` URI, or rows."""

_MODEL_NAME = re.compile(r"projects/[^/]+/locations/[^/]+/models/[^/]+")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


class SupervisedTuning(BaseModel):
    """Teach a model by example: an adapter, or every weight of an open model."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)

    base_model: str
    """A model of the catalog (`gemini-2.5-flash`), or the name of a tuned model to tune on (`projects/.../models/7@1`)."""

    training: Any
    """JSONL in GenerateContent form: a path, a `gs://` URI, or rows."""

    validation: Any = None
    """Held-out rows, in the same form."""

    epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the training set. Left out, the service decides by the set's size."""

    learning_rate_multiplier: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Factor on the recommended learning rate. Left out: 1."""

    adapter_size: int | None = None
    """Rank of the LoRA adapter: 1, 2, 4, 8, 16 or 32, as far as the base model allows (see `catalog`)."""

    mode: Literal["adapter", "full"] | None = None
    """Adapter, or every weight (open models only). Left out, what the model offers, the adapter first."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per step; open models only."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Learning rate itself, instead of a multiplier; open models only."""

    last_checkpoint_only: bool = False
    """Keep the result alone. Otherwise one checkpoint per epoch is kept, up to ten."""

    checkpoint_id: str | None = None
    """Which checkpoint of a tuned model to tune on from. Left out: its default checkpoint."""

    display_name: str | None = None
    """Name of the tuned model, for people. The same name as a model that is tuned on: a new version of it."""

    description: str | None = None
    """What this is, for people."""

    labels: dict[str, str] = Field(default_factory=dict)
    """Copied to the model and its endpoints: lower-case letters, digits, `_` and `-`."""

    kms_key: str | None = None
    """`projects/.../cryptoKeys/KEY`: customer-managed encryption."""

    service_account: str | None = None
    """E-mail of the service account that the job runs as."""

    output_uri: str | None = None
    """`gs://` folder for the checkpoints; needed for open models, and only there."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            faults = [_fault(item) for item in error.errors(include_url=False)]
            raise _refusal(faults) from None
        faults = self._faults()
        if faults:
            raise _refusal(faults)

    @property
    def continues(self) -> bool:
        """Whether it goes on from a tuned model."""
        return _MODEL_NAME.fullmatch(self.base_model) is not None

    def check_location(self, location: str) -> None:
        """Hold the base model against the job's region.

        Raises:
            SpecError: VT305, it cannot be tuned there.
        """
        if self.continues:
            return
        base = catalog.base_model(self.base_model)
        if location not in base.regions:
            raise SpecError(
                "VT305",
                f"{base.id} cannot be tuned in {location}",
                where="location",
                fix=f"one of: {', '.join(base.regions)}",
            )

    def _faults(self) -> list[Fault]:
        faults: list[Fault] = []
        if not self.continues:
            try:
                faults += self._model_faults(catalog.base_model(self.base_model))
            except SpecError as error:
                faults.append(error.fault)
        if self.checkpoint_id and not self.continues:
            faults.append(
                Fault(
                    "VT306",
                    "a base model has no checkpoints",
                    "checkpoint_id",
                    fix="leave it out, or tune on a tuned model",
                )
            )
        if self.learning_rate and self.learning_rate_multiplier:
            faults.append(
                Fault(
                    "VT307", "learning_rate and learning_rate_multiplier exclude each other", "learning_rate"
                )
            )
        longest = catalog.limits("display_name")["max_bytes"]
        if self.display_name and len(self.display_name.encode()) > longest:
            faults.append(Fault("VT308", f"more than {longest} bytes of UTF-8", "display_name"))
        for key, value in self.labels.items():
            if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                faults.append(
                    Fault(
                        "VT309",
                        f'"{key}": "{value}" is not a label',
                        "labels",
                        fix="lower-case letters, digits, _ and -, up to 63 characters, keys beginning with a letter",
                    )
                )
        if self.output_uri and not self.output_uri.startswith("gs://"):
            faults.append(
                Fault(
                    "VT310",
                    f'"{self.output_uri}" is not in Cloud Storage',
                    "output_uri",
                    fix="gs://bucket/folder",
                )
            )
        return faults

    def _model_faults(self, base: catalog.BaseModel) -> list[Fault]:
        faults = []
        if "supervised" not in base.methods:
            faults.append(Fault("VT302", f"{base.id} does not take supervised tuning", "base_model"))
        mode = self.mode or base.modes[0]
        if mode not in base.modes:
            faults.append(
                Fault("VT303", f"{base.id} takes {' and '.join(base.modes)} tuning, not {mode}", "mode")
            )
        if (
            self.adapter_size is not None
            and mode == "adapter"
            and self.adapter_size not in base.adapter_sizes
        ):
            sizes = ", ".join(str(size) for size in base.adapter_sizes)
            faults.append(
                Fault(
                    "VT304",
                    f"{base.id} has no adapter of size {self.adapter_size}",
                    "adapter_size",
                    why="The service would refuse the job, or answer 404.",
                    fix=f"one of: {sizes}",
                )
            )
        if self.kms_key and not base.cmek:
            faults.append(Fault("VT311", f"{base.id} does not take customer-managed keys", "kms_key"))
        for name in ("batch_size", "learning_rate"):
            if getattr(self, name) is not None and not base.open:
                faults.append(
                    Fault(
                        "VT312",
                        f"only open models take it, not {base.id}",
                        name,
                        fix="learning_rate_multiplier",
                    )
                )
        if base.open and not self.output_uri:
            faults.append(
                Fault(
                    "VT313",
                    f"{base.id} is an open model: its checkpoints go to a folder of yours",
                    "output_uri",
                    fix="gs://bucket/folder",
                )
            )
        return faults


def _fault(item: Any) -> Fault:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return Fault(
            "VT314", "supervised tuning has no such field", where, fix="see `help(SupervisedTuning)`"
        )
    return Fault("VT315", item["msg"][:1].lower() + item["msg"][1:], where)


def _refusal(faults: list[Fault]) -> SpecError:
    if len(faults) == 1:
        only = faults[0]
        return SpecError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    return SpecError("VT300", f"the spec has {len(faults)} faults", faults=faults)
