"""Write `container/constraints.txt`: every package of the image, in the version that is installed here, with which the tests ran.

torch is left out: which build of it there is depends on the image's target.
"""

from __future__ import annotations

import importlib.metadata as metadata
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = Path(__file__).parents[1] / "container" / "constraints.txt"
EXTRAS = ("emulator", "pipelines")
# Come with torch, or are ours.
_LEFT_OUT = {"torch", "triton", "vertex-tuning"}
_PREFIXES = ("nvidia-", "cuda-")


def closure(name: str = "vertex-tuning", extras: tuple[str, ...] = EXTRAS) -> dict[str, str]:
    """Packages that a package needs, with its extras, and their versions, as installed here."""
    found: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        key = (canonicalize_name(name), tuple(sorted(extras)))
        if key in seen:
            continue
        seen.add(key)
        found[key[0]] = metadata.version(name)
        wanted = [need for need in needs(name, extras) if not need.name.startswith(_PREFIXES)]
        todo += [(need.name, tuple(need.extras)) for need in wanted if need.name not in _LEFT_OUT - {"torch"}]
    return {
        name: version
        for name, version in sorted(found.items())
        if name not in _LEFT_OUT and not name.startswith(_PREFIXES)
    }


def needs(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What a package asks for on this machine."""
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def text() -> str:
    """The file."""
    lines = [f"{name}=={version}" for name, version in closure().items()]
    return "\n".join(["# Written by scripts/constraints.py.", *lines, ""])


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(closure())} packages\n")
