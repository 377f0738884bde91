"""Signed URLs: their form and their time are checked, their signature is not (the emulator has no keys).

Source: Cloud Storage documentation, "Signed URLs", V4 and V2 (2026-09).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from vertex_tuning.emulator.storage.errors import StorageError, invalid

_ALGORITHMS = ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256")
_LONGEST = 7 * 24 * 3600


def check(query: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """400 where a request bears a signature that is malformed or out of date; others pass."""
    lower = {key.lower(): value for key, value in query.items()}
    if "x-goog-signature" in lower or "x-goog-algorithm" in lower:
        _check_v4(lower, headers)
    elif "googleaccessid" in lower and "signature" in lower:
        expires = lower.get("expires", "")
        if not (expires.isascii() and expires.isdecimal()):
            raise _malformed("Expires is not a number.")
        _check_time(datetime.fromtimestamp(min(int(expires), 2**33), UTC))


def _check_v4(query: Mapping[str, str], headers: Mapping[str, str]) -> None:
    for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature"):
        if not query.get(f"x-goog-{name}"):
            raise _malformed(f"The query has no X-Goog-{name.capitalize()}.")
    if query["x-goog-algorithm"] not in _ALGORITHMS:
        raise _malformed("X-Goog-Algorithm is not one of Google's.")
    expires = query["x-goog-expires"]
    if not (expires.isascii() and expires.isdecimal()) or not 1 <= int(expires[:9]) <= _LONGEST:
        raise _malformed("X-Goog-Expires must lie between 1 and 604800 seconds.")
    try:
        date = datetime.strptime(query["x-goog-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _malformed("X-Goog-Date is not of the form YYYYMMDD'T'HHMMSS'Z'.") from None
    for name in query["x-goog-signedheaders"].split(";"):
        if name.lower() not in headers:
            raise invalid(
                f"Header was included in signedheaders, but not in the request: {name}",
                xml="MalformedSecurityHeader",
            )
    _check_time(date + timedelta(seconds=int(expires)))


def _check_time(end: datetime) -> None:
    if datetime.now(UTC) > end:
        raise StorageError(
            400,
            "invalid",
            f"The provided token has expired. Request signature expired at: {end.isoformat()}",
            xml="ExpiredToken",
        )


def _malformed(what: str) -> StorageError:
    return StorageError(400, "invalid", f"The signed URL is malformed. {what}", xml="AuthenticationRequired")
