"""Open models of the user's own that stand in for Vertex AI's: a folder that was named once, tried, and is known from then on.

Nothing is copied: a record beside the fetched weights says where the folder lies, and how it is trained.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict
from pathlib import Path

from vertex_tuning import catalog
from vertex_tuning.catalog import StandIn

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Of a stand-in."""
_RECORD = "stand_in.json"
_SMALL = 300_000_000


def learn(weights_dir: Path) -> None:
    """Make those of a folder of weights known to the catalog, in this process."""
    found = []
    for path in sorted(weights_dir.glob(f"*/{_RECORD}")):
        # A record that nobody can read is of no model, and no reason not to start.
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(StandIn(**json.loads(path.read_text(encoding="utf-8"))))
    catalog.know(found)


def write(weights_dir: Path, stand_in: StandIn) -> None:
    """Write one down, and make it known."""
    path = weights_dir / stand_in.name / _RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{_RECORD}.{os.getpid()}")
    scratch.write_text(json.dumps(asdict(stand_in), indent=2) + "\n", encoding="utf-8")
    scratch.replace(path)
    learn(weights_dir)


def forget(weights_dir: Path, name: str) -> None:
    """Forget one; its weights stay where they are."""
    (weights_dir / name / _RECORD).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (weights_dir / name).rmdir()
    learn(weights_dir)


def learning_rate(parameters: int) -> float:
    """Peak rate for an adapter, where nobody says one.

    Source: for small models what SmolLM2 takes here; else Dettmers et al., QLoRA (arXiv 2305.14314), appendix B: 2e-4 for 7
    and 13 billion parameters.
    """
    return 5e-4 if parameters < _SMALL else 2e-4


def stand_in(
    name: str, folder: Path, *, architecture: str, parameters: int, max_tokens: int, learning_rate: float
) -> StandIn:
    """One as the catalog has it; peak rates of all ways follow that of an adapter, in the proportions of SmolLM2's."""
    return StandIn(
        name=name,
        title=f"{folder.name} ({architecture})",
        kind="own",
        parameters=parameters,
        licence="",
        licence_url="",
        accept_terms=False,
        max_tokens=max_tokens,
        learning_rate_adapter=learning_rate,
        learning_rate_full=learning_rate / 10,
        learning_rate_preference=learning_rate * 0.4,
        learning_rate_reinforcement=learning_rate * 0.4,
        folder=str(folder),
    )
