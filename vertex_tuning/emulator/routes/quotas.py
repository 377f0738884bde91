"""Cloud Quotas: how much of something a project may use. The emulator holds nobody to it."""

from __future__ import annotations

from typing import Any

from vertex_tuning.catalog import requirements
from vertex_tuning.catalog.requirements import Quota
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.listing import page_of
from vertex_tuning.emulator.status import ApiError, Code

routes = Routes("cloudquotas.googleapis.com")

_INFOS = "projects/{project}/locations/global/services/{service}/quotaInfos"


@routes.get(_INFOS, versions=("v1",))
async def list_infos(call: Call) -> dict[str, Any]:
    """Those that this package knows of, by id."""
    return page_of(_infos(call), call.query, "quotaInfos")


@routes.get(f"{_INFOS}/{{quota}}", versions=("v1",))
async def get(call: Call) -> dict[str, Any]:
    """One, by its id."""
    found = next((info for info in _infos(call) if info["quotaId"] == call.path["quota"]), None)
    if found is None:
        raise ApiError(Code.NOT_FOUND, f"Quota {call.path['quota']} of {call.path['service']} was not found.")
    return found


def _infos(call: Call) -> list[dict[str, Any]]:
    number = call.emulator.settings.number_of(call.path["project"])
    known = {quota.metric: quota for quota in (*requirements.quotas(), *requirements.chip_quotas().values())}
    told = {
        row.name.partition("/quotas/")[2]: row.body
        for row in call.emulator.db.list("quotas", f"projects/{number}")
    }
    for metric in told.keys() - known.keys():
        known[metric] = Quota(metric, metric.partition("/")[2], regional=True, least=0, emulated=0, why="")
    service = call.path["service"]
    found = [
        _info(f"projects/{number}", service, quota, told.get(metric, {}), call.emulator.settings.location)
        for metric, quota in known.items()
        if metric.partition("/")[0] == service
    ]
    return sorted(found, key=lambda info: str(info["quotaId"]))


def _info(parent: str, service: str, quota: Quota, told: dict[str, int], location: str) -> dict[str, Any]:
    """One quota: what is said of single regions first, then what holds in all others."""
    words = "".join(word.capitalize() for word in quota.metric.partition("/")[2].split("_"))
    identifier = f"{words}PerProject{'PerRegion' if quota.regional else ''}"
    rest = told.get("", quota.emulated)
    infos = [
        {"dimensions": {"region": region}, "details": {"value": str(value)}, "applicableLocations": [region]}
        for region, value in sorted(told.items())
        if region
    ]
    # Google lists every region of the service here; the emulator knows of one that it works in.
    others = ["global"] if not quota.regional else [] if location in told else [location]
    if others:
        infos.append({"details": {"value": str(rest)}, "applicableLocations": others})
    return {
        "name": f"{parent}/locations/global/services/{service}/quotaInfos/{identifier}",
        "quotaId": identifier,
        "metric": quota.metric,
        "service": service,
        "isPrecise": True,
        "isConcurrent": True,
        "containerType": "PROJECT",
        "dimensions": ["region"] if quota.regional else [],
        "metricDisplayName": quota.title,
        "quotaDisplayName": f"{quota.title}{' per region' if quota.regional else ''}",
        "metricUnit": "1",
        "quotaIncreaseEligibility": {"isEligible": True},
        "dimensionsInfos": infos,
    }
