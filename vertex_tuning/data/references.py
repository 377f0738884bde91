"""Whether the rows have the references that a reward names.

A row without one has no reward: each answer to it is paid for, and left out. Where that is so of nearly all rows, the job stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from vertex_tuning import catalog
from vertex_tuning.data.check import Rows, in_cloud_storage
from vertex_tuning.data.reading import numbered_rows
from vertex_tuning.data.report import DataReport, Finding, fault_of
from vertex_tuning.data.words import quoted


def look_for(names: Sequence[str], dataset: Rows, report: DataReport) -> None:
    """Note which rows lack a reference: a fault where a job would stop for it, else a warning.

    Args:
        names: Of the references.
        dataset: A file or rows that were checked. A `gs://` URI is passed over.
        report: What that check found.
    """
    if not names or in_cloud_storage(dataset):
        return
    lacking: dict[str, list[int]] = {name: [] for name in names}
    there: dict[str, None] = {}
    for number, row in numbered_rows(dataset):
        given = row.get("references") or {}
        there |= dict.fromkeys(given)
        for name in names:
            if name not in given:
                lacking[name].append(number)
    most = catalog.limits("reinforcement")["max_failed_share"] * report.rows
    known = ", ".join(map(quoted, there)) or "none"
    for name, lines in lacking.items():
        what = f"there is no reference {quoted(name)}, which the reward names"
        finding = Finding("VT233", f"references.{name}", what, f"give every row one; the rows have: {known}")
        for line in lines:
            if len(lines) > most:
                report.add(line, finding.rule, finding.path, what, fix=finding.fix)
            else:
                finding.see(line)
        if finding.count:
            finding.why = "Its answers have no reward: they are paid for, and left out."
            report.warnings.append(fault_of(report.source, finding))
