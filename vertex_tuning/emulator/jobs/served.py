"""What a question is put to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_tuning import catalog

if TYPE_CHECKING:
    from vertex_tuning.emulator.jobs.deployments import Chosen


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What answers for a name: the weights, and the adapter on them."""

    model: Path
    """Folder of the weights."""
    adapter: Path | None
    """Folder of a PEFT adapter."""
    name: str
    """As `modelVersion` of a response shows it."""
    stand_in: catalog.StandIn
    deployed: Chosen | None = None
    """The deployed model, where an endpoint was asked."""
    is_gemini: bool = True
    """Whether it stands for a model of Gemini's."""
