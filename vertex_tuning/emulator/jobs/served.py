"""What a question is put to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vertex_tuning import catalog


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
