"""What Google's provider itself finds wrong in a configuration, where Terraform's core cannot know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.terraform.provider.values import Path, attributes


def faults(kind: str, block: dict[str, Any], configuration: Any) -> Iterator[tuple[Path, str]]:
    """Values that the documentation does not name, and attributes that only Google sets."""
    for at, attribute, value in attributes(block, configuration):
        name = ".".join(str(step) for step in at)
        if value is None:
            continue
        possible = attribute.get("enum")
        if possible and isinstance(value, str) and value not in possible:
            yield at, f"expected {name} to be one of {possible}, got {value}"
        if attribute.get("computed") and not attribute.get("optional"):
            yield at, f"Value for unconfigurable attribute: {kind}.{name} is read-only"
