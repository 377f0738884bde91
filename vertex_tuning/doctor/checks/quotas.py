"""How much of what may be used at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from vertex_tuning.catalog import requirements
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Finding, fault, ok
from vertex_tuning.doctor.seeing import Project, Seen

_SERVICE = "cloudquotas.googleapis.com"
_PAGE = 500
_UNLIMITED, _MOST = -1, 2**63


def quotas(project: Project) -> Iterator[Finding]:
    """Each quota that work needs, in the location."""
    wanted = {quota.metric: quota for quota in requirements.quotas()}
    chips = requirements.chip_quotas()
    found, seen = _listed(project, {*wanted, *(quota.metric for quota in chips.values())})
    if seen.trouble:
        yield project.unseen("quotas", seen)
        return
    amounts = {metric: _amount(rows, project.location) for metric, rows in found.items()}
    for metric, quota in wanted.items():
        value = amounts.get(metric)
        name = metric.partition("/")[2]
        if value is None:
            yield ok(name, "no limit is known")
        elif value < quota.least:
            what = f"{value} in {project.location}, and work needs {quota.least}"
            yield fault("VT170", name, what, _more(project, found[metric][0], quota.least), why=quota.why)
        else:
            yield ok(name, f"{_said(value)} in {project.location}")
    if chips:
        has = [
            f"{_said(amount)} {name}"
            for name, quota in chips.items()
            if (amount := amounts.get(quota.metric))
        ]
        yield ok(
            "chips of custom jobs",
            ", ".join(has) or f"none in {project.location}; what trains on them would be refused",
        )


def _amount(rows: list[Mapping[str, Any]], location: str) -> int:
    return max(_value(row, location) for row in rows)


def _said(amount: int) -> str:
    return "any number" if amount == _MOST else str(amount)


def _listed(project: Project, metrics: set[str]) -> tuple[dict[str, list[Mapping[str, Any]]], Seen]:
    """What Cloud Quotas says of some metrics of Vertex AI."""
    path = f"v1/projects/{project.id}/locations/global/services/aiplatform.googleapis.com/quotaInfos"
    found: dict[str, list[Mapping[str, Any]]] = {}
    token = ""
    while True:
        query: dict[str, Any] = {"pageSize": _PAGE, **({"pageToken": token} if token else {})}
        seen = project.ask(_SERVICE, path, query=query)
        for row in seen.value.get("quotaInfos", ()):
            if row.get("metric") in metrics:
                found.setdefault(str(row["metric"]), []).append(row)
        token = str(seen.value.get("nextPageToken", ""))
        if not token:
            return found, seen


def _value(row: Mapping[str, Any], location: str) -> int:
    """Of the entry for a location, else of the one for all; -1 is without limit."""
    here, everywhere = [], []
    for info in row.get("dimensionsInfos", ()):
        amount = int((info.get("details") or {}).get("value", 0))
        amount = _MOST if amount == _UNLIMITED else amount
        region = (info.get("dimensions") or {}).get("region")
        if region == location or (region is None and location in info.get("applicableLocations", ())):
            here.append(amount)
        elif region is None:
            everywhere.append(amount)
    return max(here or everywhere, default=0)


def _more(project: Project, row: Mapping[str, Any], least: int) -> Cure:
    by_region = "region" in row.get("dimensions", ())
    page = urlencode({"service": "aiplatform.googleapis.com", "project": project.id})
    line = gcloud(
        "quotas",
        "preferences",
        "create",
        "--service=aiplatform.googleapis.com",
        f"--project={project.id}",
        f"--quota-id={row.get('quotaId', '')}",
        f"--preferred-value={least}",
        f"--email={project.caller().partition(':')[2] or 'YOU'}",  # for more, somebody has to be there to be asked
        *([f"--dimensions=region={project.location}"] if by_region else []),
    )
    return Cure((line,), words=f"ask for more: https://console.cloud.google.com/iam-admin/quotas?{page}")
