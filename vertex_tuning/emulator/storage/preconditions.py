"""Preconditions: generations and metagenerations that a caller counts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vertex_tuning.emulator.storage.errors import condition_not_met, invalid, not_modified


class Versioned(Protocol):
    """What a precondition is checked against: an object's version, or a bucket (whose generation is none)."""

    @property
    def generation(self) -> int:
        """Version of the content."""

    @property
    def metageneration(self) -> int:
        """Version of the metadata."""


_HEADERS = {
    "ifGenerationMatch": "x-goog-if-generation-match",
    "ifMetagenerationMatch": "x-goog-if-metageneration-match",
}


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The four preconditions of a request; None: not asked."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    @classmethod
    def of_query(cls, query: Mapping[str, str], infix: str = "") -> Preconditions:
        """From query parameters; `infix` is `Source` for the source of a copy."""
        return cls(
            *(
                _number(query, f"if{infix}{name}")
                for name in (
                    "GenerationMatch",
                    "GenerationNotMatch",
                    "MetagenerationMatch",
                    "MetagenerationNotMatch",
                )
            )
        )

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> Preconditions:
        """From the headers of the XML API."""
        return cls(
            generation_match=_number(headers, _HEADERS["ifGenerationMatch"]),
            metageneration_match=_number(headers, _HEADERS["ifMetagenerationMatch"]),
        )

    def check(self, current: Versioned | None) -> None:
        """Against what is there now (None: nothing). 412 where a match fails, 304 where a not-match does.

        Generation 0 stands for "nothing": `ifGenerationMatch=0` holds only where there is no object yet.
        """
        generation = current.generation if current else 0
        if self.generation_match is not None and self.generation_match != generation:
            raise condition_not_met("ifGenerationMatch")
        if self.generation_not_match is not None and self.generation_not_match == generation:
            raise not_modified("ifGenerationNotMatch")
        metageneration = current.metageneration if current else None
        if self.metageneration_match is not None and self.metageneration_match != metageneration:
            raise condition_not_met("ifMetagenerationMatch")
        if self.metageneration_not_match is not None and self.metageneration_not_match == metageneration:
            raise not_modified("ifMetagenerationNotMatch")

    def to_json(self) -> list[int | None]:
        """For a resumable upload, whose preconditions outlive the request."""
        return [
            self.generation_match,
            self.generation_not_match,
            self.metageneration_match,
            self.metageneration_not_match,
        ]


def _number(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    # isdecimal and isascii: int() would take " 1", "1_0" and other scripts' digits.
    if not (text.isascii() and text.isdecimal()) or len(text) > 19:
        raise invalid(f"Invalid value for {name}: {text!r} is not a non-negative integer.", location=name)
    return int(text)
