"""Free JSON, read field by field: what has the wrong type is noted, all of it, and nothing breaks on it."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from vertex_tuning.emulator.status import ApiError, invalid

T = TypeVar("T")


class Fields:
    """An object of a request that no schema describes.

    Args:
        given: What was sent.
        where: Its place in the request, for errors.
        faults: Where to note what is wrong; further objects of the same request share it.
    """

    def __init__(self, given: Any, where: str, faults: list[tuple[str, str]] | None = None) -> None:
        self.where = where
        self.faults: list[tuple[str, str]] = [] if faults is None else faults
        self.given: dict[str, Any] = given if isinstance(given, dict) else {}
        if not isinstance(given, dict):
            self.faults.append((where or "body", "It must be a JSON object."))

    def __contains__(self, name: str) -> bool:
        return self.given.get(name) is not None

    def fault(self, name: str, words: str) -> None:
        """Note what is wrong with a field."""
        self.faults.append((self.path(name), words))

    def path(self, name: str) -> str:
        """A field's place in the request."""
        return f"{self.where}.{name}" if self.where else name

    def number(self, *names: str) -> float | None:
        """The first of these fields that is there; a finite number."""
        found = self._first(names, "a number", lambda value: not isinstance(value, bool) and _finite(value))
        return None if found is None else float(found)

    def whole(self, *names: str) -> int | None:
        """The same, a whole number. JSON that came through protobuf has 8.0 for 8."""
        found = self._first(
            names,
            "a whole number",
            lambda value: not isinstance(value, bool) and _finite(value) and value == int(value),
        )
        return None if found is None else int(found)

    def text(self, name: str) -> str | None:
        """A string."""
        found = self._first((name,), "a string", lambda value: isinstance(value, str))
        return None if found is None else str(found)

    def flag(self, name: str) -> bool:
        """A boolean; False where it is not there."""
        return bool(self._first((name,), "true or false", lambda value: isinstance(value, bool)))

    def texts(self, name: str) -> list[str]:
        """A string, or a list of them."""
        found = self._first(
            (name,),
            "a string or a list of strings",
            lambda value: (
                isinstance(value, str)
                or (isinstance(value, list) and all(isinstance(item, str) for item in value))
            ),
        )
        return [found] if isinstance(found, str) else found or []

    def objects(self, name: str) -> list[Any]:
        """A list; empty where it is not there."""
        return self._first((name,), "a list", lambda value: isinstance(value, list)) or []

    def _first(self, names: tuple[str, ...], what: str, fits: Any) -> Any:
        for name in names:
            value = self.given.get(name)
            if value is None:
                continue
            if fits(value):
                return value
            self.fault(name, f"It must be {what}.")
            return None
        return None

    def check(self, rule: str) -> None:
        """400 with everything that was noted, if there is anything."""
        if self.faults:
            raise _refused(self.faults, rule)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _refused(faults: list[tuple[str, str]], rule: str) -> ApiError:
    return invalid(*faults, rule=rule)
