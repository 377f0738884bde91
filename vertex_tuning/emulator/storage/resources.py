"""Which members of a bucket or an object a caller may write, and how the two look on the wire."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

from vertex_tuning.emulator.storage.errors import invalid

Json = dict[str, Any]

BUCKET_MEMBERS: dict[str, type] = {
    "acl": list,
    "autoclass": dict,
    "billing": dict,
    "cors": list,
    "defaultEventBasedHold": bool,
    "defaultObjectAcl": list,
    "encryption": dict,
    "iamConfiguration": dict,
    "ipFilter": dict,
    "labels": dict,
    "lifecycle": dict,
    "logging": dict,
    "retentionPolicy": dict,
    "rpo": str,
    "softDeletePolicy": dict,
    "storageClass": str,
    "versioning": dict,
    "website": dict,
}
"""What a caller may write to a bucket at any time, and its JSON type."""

BUCKET_BIRTH_MEMBERS: dict[str, type] = {"customPlacementConfig": dict, "hierarchicalNamespace": dict}
"""What is written once, when the bucket is made; `name` and `location` apart."""

OBJECT_MEMBERS: dict[str, type] = {
    "acl": list,
    "cacheControl": str,
    "contentDisposition": str,
    "contentEncoding": str,
    "contentLanguage": str,
    "contentType": str,
    "contexts": dict,
    "customTime": str,
    "eventBasedHold": bool,
    "metadata": dict,
    "retention": dict,
    "temporaryHold": bool,
}
"""What a caller may write to an object at any time, and its JSON type."""

OBJECT_BIRTH_MEMBERS: dict[str, type] = {"storageClass": str, "kmsKeyName": str}
"""What is written with the content only."""

COPIED_MEMBERS = OBJECT_MEMBERS.keys() - {"acl", "eventBasedHold", "retention", "temporaryHold"}
"""What a copy takes over from its source."""

STORAGE_CLASSES = (
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
)

_MULTI_REGIONS = ("US", "EU", "ASIA")
_DUAL_REGIONS = ("NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1")
_REGION = re.compile(r"(AFRICA|ASIA|AUSTRALIA|EUROPE|ME|NORTHAMERICA|SOUTHAMERICA|US)-[A-Z]+\d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_LABEL_KEY = re.compile(r"[a-z][\w-]{0,62}")
_LABEL_VALUE = re.compile(r"[\w-]{0,63}")
_MAX_METADATA = 8192


def written(given: object, members: dict[str, type], *, nulls: bool = False) -> Json:
    """The members of a caller's resource that may be written, checked; what Google sets itself is left out.

    Args:
        given: The body of the request.
        members: What may be written.
        nulls: Keep nulls: in a patch they remove.
    """
    if not isinstance(given, dict):
        raise invalid("The body must be a JSON object.")
    found: Json = {}
    for name, kind in members.items():
        if name not in given:
            continue
        value = given[name]
        if value is None:
            if nulls:
                found[name] = None
            continue
        if not isinstance(value, kind):
            raise invalid(f"Invalid value for: {name}", location=name)
        found[name] = value
    _check_values(found)
    return found


def merged(old: Json, patch: Json) -> Json:
    """JSON merge patch (RFC 7396): null removes, objects merge, anything else replaces."""
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


def _check_values(members: Json) -> None:
    storage_class = members.get("storageClass")
    if storage_class is not None and storage_class not in STORAGE_CLASSES:
        raise invalid(
            f"Invalid storage class: {storage_class}", location="storageClass", xml="InvalidStorageClass"
        )
    custom_time = members.get("customTime")
    if custom_time is not None and not _TIME.fullmatch(custom_time):
        raise invalid(f"Invalid value for: customTime: {custom_time!r}", location="customTime")
    for key, value in (members.get("labels") or {}).items():
        if not _LABEL_KEY.fullmatch(key) or key != key.lower():
            raise invalid(f"Invalid label key: {key!r}", location="labels")
        if value is not None and not (
            isinstance(value, str) and _LABEL_VALUE.fullmatch(value) and value == value.lower()
        ):
            raise invalid(f"Invalid label value: {value!r}", location="labels")
    metadata = members.get("metadata")
    if metadata:
        for key, value in metadata.items():
            if isinstance(value, (dict, list)):
                raise invalid(f"Invalid value for: metadata.{key}", location="metadata")
            if value is not None and not isinstance(value, str):
                metadata[key] = str(value).lower() if isinstance(value, bool) else str(value)
        if (
            sum(
                len(str(k).encode(errors="replace")) + len(str(v).encode(errors="replace"))
                for k, v in metadata.items()
            )
            > _MAX_METADATA
        ):
            raise invalid("The total metadata size exceeds the 8 KiB limit.", location="metadata")


def is_location(name: str) -> bool:
    """Whether buckets can lie there."""
    name = name.upper()
    return name in (*_MULTI_REGIONS, *_DUAL_REGIONS) or _REGION.fullmatch(name) is not None


def location(given: object) -> tuple[str, str]:
    """A bucket's location and its type, or 400."""
    if given is None or given == "":
        return "US", "multi-region"
    if isinstance(given, str):
        name = given.upper()
        if name in _MULTI_REGIONS:
            return name, "multi-region"
        if name in _DUAL_REGIONS:
            return name, "dual-region"
        if _REGION.fullmatch(name):
            return name, "region"
    raise invalid(
        "The specified location constraint is not valid.",
        location="location",
        xml="InvalidLocationConstraint",
    )


def etag(metageneration: int, generation: int | None = None) -> str:
    """The etag of a version, spelled as Google spells it: two varints of a protocol buffer, in base64."""
    raw = b"" if generation is None else b"\x08" + _varint(generation) + b"\x10"
    return base64.b64encode((raw or b"\x08") + _varint(metageneration)).decode()


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def object_path(bucket: str, name: str) -> str:
    """The path of an object on the JSON API."""
    return f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
