"""Scalars of ProtoJSON: what a client may write, and the one way in which it is kept.

A reader takes a JSON value and returns its canonical form, or raises `Bad` with the text that Google's parser
puts behind the field's type.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from vertex_tuning.emulator.wire.schema import Enum

MAX_DEPTH = 100
"""Messages deeper than this are refused, as protobuf does."""

_FLOAT_MAX = 3.4028235677973366e38
"""What still rounds to the greatest number of 32 bits."""
_DURATION_MAX = 315_576_000_000
_INTEGER = re.compile(r"-?\d{1,40}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,400}(\.\d{1,400})?([eE][+-]?\d{1,5})?", re.ASCII)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MASK = re.compile(r"(?:[A-Za-z_*][\w.*`/-]*(?:,[A-Za-z_*][\w.*`/-]*)*)?", re.ASCII)
_UNDERSCORE = re.compile(r"_([a-z0-9])")


class Bad(Exception):
    """A value that its type does not take."""


def shown(value: Any) -> str:
    """A value as Google's messages quote it."""
    text = f'"{value}"' if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 1000 else text[:1000] + "..."


def read_string(value: Any) -> str:
    """Text; half a surrogate pair is not."""
    if not isinstance(value, str):
        raise Bad(shown(value))
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Bad("Encountered non UTF-8 code points.") from None
    return value


def read_bool(value: Any) -> bool:
    """true, false, or their names."""
    if isinstance(value, bool):
        return value
    if value == "true" or value == "false":
        return bool(value == "true")
    raise Bad(shown(value))


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise Bad(shown(value))
        if isinstance(value, str):
            number = int(value) if _INTEGER.fullmatch(value) else _whole(_float(value), value)
        else:
            number = value if isinstance(value, int) else _whole(value, value)
        if not low <= number <= high:
            raise Bad(shown(value))
        return number

    return read


def _whole(number: float, given: Any) -> int:
    if math.isfinite(number) and number.is_integer():
        return int(number)
    raise Bad(shown(given))


read_int32 = _integer(-(2**31), 2**31 - 1)
read_uint32 = _integer(0, 2**32 - 1)
_int64 = _integer(-(2**63), 2**63 - 1)
_uint64 = _integer(0, 2**64 - 1)


def read_int64(value: Any) -> str:
    """Number or string in, string out: JSON numbers lose digits beyond 2^53."""
    return str(_int64(value))


def read_uint64(value: Any) -> str:
    """Like `read_int64`, from zero."""
    return str(_uint64(value))


def _float(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise Bad(shown(text))
    return float(text)


def read_double(value: Any) -> float | int | str:
    """A number, its text, or the names of what JSON cannot write."""
    if isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            return value
        number: float | int = _float(value)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Bad(shown(value))
    else:
        number = value
    if abs(number) > 1.7976931348623157e308 or number != number:
        raise Bad(shown(value))
    return number


def read_float(value: Any) -> float | int | str:
    """Like `read_double`, within the range of 32 bits."""
    number = read_double(value)
    if not isinstance(number, str) and abs(number) > _FLOAT_MAX:
        raise Bad(shown(value))
    return number


def read_bytes(value: Any) -> str:
    """Base64, standard or URL-safe, padded or not; kept in the standard form."""
    if not isinstance(value, str):
        raise Bad(shown(value))
    bare = value.rstrip("=").replace("-", "+").replace("_", "/")
    padded = bare + "=" * (-len(bare) % 4)
    try:
        base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        raise Bad(f"Base64 decoding failed for {shown(value)}") from None
    return padded


def read_timestamp(value: Any) -> str:
    """RFC 3339 with any offset in, UTC with a `Z` out."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise Bad(f"Invalid time format: {value if isinstance(value, str) else shown(value)}")
    day, clock, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC)
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment.replace(tzinfo=timezone(offset if sign == "+" else -offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Bad(f"Invalid time format: {value}") from None
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%S}{_fraction(fraction)}Z"


def read_duration(value: Any) -> str:
    """Seconds with an `s`: `3.5s`."""
    if not isinstance(value, str) or not value.endswith("s"):
        raise Bad("Illegal duration format; duration must end with 's'")
    found = _DURATION.fullmatch(value)
    if not found:
        raise Bad("Illegal duration format; duration is not a number of seconds")
    sign, seconds, fraction = found.groups()
    if int(seconds) > _DURATION_MAX:
        raise Bad("Duration value exceeds limits")
    return f"{sign}{int(seconds)}{_fraction(fraction)}s"


def _fraction(digits: str | None) -> str:
    """0, 3, 6 or 9 digits, as Google writes them."""
    bare = (digits or "").rstrip("0")
    return f".{bare.ljust(-(-len(bare) // 3) * 3, '0')}" if bare else ""


def read_date(value: Any) -> str:
    """A day: `2026-11-23` (Cloud Storage's lifecycle rules)."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise Bad(shown(value))
    return value


def read_fieldmask(value: Any) -> str:
    """Comma-separated paths, in either spelling; kept in camelCase."""
    if not isinstance(value, str) or not _MASK.fullmatch(value):
        raise Bad(shown(value))
    return _UNDERSCORE.sub(lambda found: found[1].upper(), value)


def read_enum(enum: Enum, value: Any) -> str:
    """A name in any case, or a number; kept by name."""
    if isinstance(value, str):
        if value in enum.names:
            return value
        if (loud := value.upper().replace("-", "_")) in enum.names:
            return loud
        number = int(value) if len(value) < 10 and value.isascii() and value.isdecimal() else -1
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or value % 1 != 0:
        number = -1
    else:
        number = int(value)
    if number in enum.numbers:
        return enum.numbers[number]
    raise Bad(shown(value))


def read_any(value: Any, depth: int = 0) -> Any:
    """Free JSON (`Value`, `Struct`): kept as it is, nulls and all, as long as it is JSON."""
    if isinstance(value, str):
        return read_string(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return _finite(value)
    if depth >= MAX_DEPTH:
        raise Bad("Message too deep. Max recursion depth reached.")
    if isinstance(value, dict):
        return {read_string(key): read_any(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [read_any(one, depth + 1) for one in value]
    raise Bad(shown(value))


def read_typed(value: Any, depth: int = 0) -> Any:
    """An `Any`: an object that names its type."""
    if not isinstance(value, dict):
        raise Bad(shown(value))
    if not isinstance(value.get("@type"), str):
        raise Bad("Missing @type for any field.")
    return read_any(value, depth)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Bad(shown(value))
    return value


READERS: dict[str, Callable[[Any], Any]] = {
    "string": read_string,
    "bool": read_bool,
    "int32": read_int32,
    "uint32": read_uint32,
    "int64": read_int64,
    "uint64": read_uint64,
    "double": read_double,
    "float": read_float,
    "bytes": read_bytes,
    "timestamp": read_timestamp,
    "duration": read_duration,
    "date": read_date,
    "fieldmask": read_fieldmask,
}

WELL_KNOWN = {
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "fieldmask": "google.protobuf.FieldMask",
    "any": "google.protobuf.Value",
    "Any": "google.protobuf.Any",
}
