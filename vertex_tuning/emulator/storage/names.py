"""Names of buckets and objects: what Cloud Storage allows, and nothing that a file system would mind.

No name ever becomes a path: bytes lie under random ids (`blobs`), names live in the database only.
"""

from __future__ import annotations

import re

from vertex_tuning.emulator.storage.errors import StorageError, invalid

RESERVED = frozenset(
    {
        "storage",
        "upload",
        "download",
        "batch",
        "resumable",
        "v1",
        "v1beta1",
        "v2",
        "v3",
        "ui",
        "emulator",
        "token",
    }
    | {"apis", "compute", "favicon.ico"}
)
"""First segments of routes on the plain address: a bucket of this name could never be reached there."""

_COMPONENT = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_MAX_OBJECT_NAME = 1024


def check_bucket(name: object) -> str:
    """The name of a bucket to create, or 400.

    Source: Cloud Storage documentation, "Bucket naming requirements" (2026-09).
    """
    if not isinstance(name, str) or not name:
        raise invalid("Required parameter: name", location="name")
    if name in RESERVED:
        raise invalid(
            f"VT452: a bucket cannot be called {name!r} here: on the emulator's plain address it would hide"
            f" the route /{name}. Take another name.",
            location="name",
            rule="VT452",
        )
    parts = name.split(".")
    longest = 63 if len(parts) == 1 else 222
    if (
        not 3 <= len(name) <= longest
        or any(len(part) > 63 or not _COMPONENT.fullmatch(part) for part in parts)
        or _IP_ADDRESS.fullmatch(name)
        or name.startswith("goog")
        or re.search(r"g[o0]{2}gle", name)
    ):
        raise invalid(f"Invalid bucket name: '{name}'", location="name", xml="InvalidBucketName")
    return name


def check_object(name: object) -> str:
    """The name of an object, or 400.

    Source: Cloud Storage documentation, "Object naming requirements" (2026-09).
    """
    if not isinstance(name, str) or not name:
        raise invalid("Required parameter: name", location="name")
    if len(encoded(name)) > _MAX_OBJECT_NAME:
        raise _bad_object("is longer than 1024 bytes in UTF-8", "KeyTooLongError")
    if "\r" in name or "\n" in name:
        raise _bad_object("contains a carriage return or a line feed")
    if name in (".", ".."):
        raise _bad_object("is '.' or '..'")
    if name.startswith(".well-known/acme-challenge/"):
        raise _bad_object("begins with '.well-known/acme-challenge/'")
    return name


def encoded(name: str) -> bytes:
    """The name as UTF-8: how it is stored, compared and sorted. 400 where it is no Unicode text."""
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise _bad_object("is not valid Unicode") from None


def _bad_object(what: str, xml: str = "InvalidObjectName") -> StorageError:
    return invalid(f"Invalid object name: the name {what}.", location="name", xml=xml)


def split_uri(uri: str) -> tuple[str, str]:
    """`gs://bucket/name` as bucket and name; ValueError where it is none."""
    match = re.fullmatch(r"gs://([^/]+)/(.+)", uri, re.DOTALL)
    if match is None:
        raise ValueError(f"{uri!r} is not the URI of an object: gs://BUCKET/NAME.")
    return match[1], match[2]
