"""Which buckets a job can read: those in its region, and in multi- and dual-regions that contain it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vertex_tuning.catalog import requirements

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage


def holds(bucket: dict[str, Any], location: str) -> bool:
    """Whether a bucket's data can be read by a job in a location; one in a multi-region runs anywhere in it."""
    chosen = bucket.get("customPlacementConfig", {}).get("dataLocations", ())
    places = [str(place).lower() for place in (bucket.get("location", ""), *chosen)]
    return any(requirements.holds(place, location) or requirements.holds(location, place) for place in places)


def fault(storage: Storage, uri: str, location: str) -> tuple[str, str] | None:
    """What keeps a job in a location from the bucket of a URI: a rule id, and the words; None: nothing."""
    name = uri.removeprefix("gs://").partition("/")[0]
    found = storage.bucket(name)
    if found is None:
        return "VT634", f"The bucket {name} does not exist."
    if not holds(found, location):
        return "VT635", (
            f"Bucket {name} is in {found.get('location')}, the job in {location}. Use a bucket in "
            f"{location}, or in a multi-region that contains it."
        )
    return None
