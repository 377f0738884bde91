"""Which buckets a job can read: those in its region, and in multi- and dual-regions that contain it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vertex_tuning.emulator.storage import Storage

# Source: Cloud Storage documentation, "Bucket locations" (multi-regions, predefined dual-regions).
_MULTI = {
    "us": ("us-",),
    "eu": ("europe-",),
    "asia": ("asia-",),
    "nam4": ("us-central1", "us-east1"),
    "eur4": ("europe-north1", "europe-west4"),
    "eur5": ("europe-west1", "europe-west2"),
    "eur7": ("europe-west2", "europe-west3"),
    "eur8": ("europe-west3", "europe-west6"),
    "asia1": ("asia-northeast1", "asia-northeast2"),
}
# In the continent's name, outside of its multi-region, which lies in the European Union.
_OUTSIDE = {"eu": ("europe-west2", "europe-west6")}


def holds(bucket: dict[str, Any], location: str) -> bool:
    """Whether a bucket's data can be read by a job in a location; `global` jobs run wherever it is."""
    if location == "global":
        return True
    places = [
        str(place).lower() for place in bucket.get("customPlacementConfig", {}).get("dataLocations", ())
    ]
    home = str(bucket.get("location", "")).lower()
    if location in (home, *places) or home.startswith(_MULTI.get(location, ("\0",))):
        return True
    return location.startswith(_MULTI.get(home, ("\0",))) and location not in _OUTSIDE.get(home, ())


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
