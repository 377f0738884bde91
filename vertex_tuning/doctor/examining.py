"""All checks, at once, in threads of their own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from vertex_tuning.connection import Connection
from vertex_tuning.doctor.checks import CHECKS, Check, access
from vertex_tuning.doctor.cures import gcloud
from vertex_tuning.doctor.findings import Cure, Diagnosis, Finding, fault
from vertex_tuning.doctor.seeing import Project, Seen

T = TypeVar("T")

_AT_ONCE = 8
_ALONE = CHECKS[:2]
"""What can be looked at where there is no project."""


def diagnose(connection: Connection, *, progress: Callable[[int, int], None] | None = None) -> Diagnosis:
    """Look at everything that the settings of a connection name; nothing is changed.

    Args:
        connection: To the project; it has the settings.
        progress: Told how far it is: (checks done, checks in all).

    Returns:
        Every finding. That something is wrong is one of them, and never an exception.
    """
    began = time.monotonic()
    project = Project(connection)
    # Alone, and first: it gets the token that all others use, and where nobody answers it is said once.
    first = project.get(project.itself)
    checks = _ALONE if first.trouble in ("missing", "hidden") else CHECKS

    def told(done: int) -> None:
        if progress:
            progress(done, len(checks))

    told(0)
    if first.trouble in ("unknown", "silent"):
        findings = [replace(_nobody(project, first), check=CHECKS[0].name)]
        told(len(checks))
    else:
        found = _at_once([_bound(check, project) for check in checks], told)
        late = [replace(finding, check="APIs") for finding in access.refused(project)]
        findings = [finding for some in found for finding in some] + late
    return Diagnosis(project.id, project.location, tuple(findings), time.monotonic() - began)


def _nobody(project: Project, seen: Seen) -> Finding:
    if seen.trouble == "unknown":
        line = gcloud("auth", "application-default", "login")
        return fault("VT120", "your credentials", f"are not taken: {seen.words}", Cure((line,)))
    cure = Cure(words="see to the network, and to proxies in the environment; then doctor again")
    return fault(
        "VT126", project.itself.service, f"does not answer; nothing was looked at: {seen.words}", cure
    )


def _bound(check: Check, project: Project) -> Callable[[], list[Finding]]:
    return lambda: [replace(finding, check=check.name) for finding in check.run(project)]


def _at_once(tasks: Iterable[Callable[[], T]], told: Callable[[int], None]) -> list[T]:
    """What each task gives, in their order.

    The threads end with the process, whatever they wait for: Ctrl-C need not.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()
    count = 0
    for number, task in enumerate(tasks):
        waiting.put((number, task))
        count += 1

    def work() -> None:
        while True:
            try:
                number, task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((number, task(), None))
            except BaseException as error:
                done.put((number, None, error))

    for _ in range(min(_AT_ONCE, count)):
        threading.Thread(target=work, name="doctor", daemon=True).start()
    results: dict[int, T] = {}
    for finished in range(1, count + 1):
        number, result, error = done.get()
        if error is not None:
            raise error
        results[number] = result  # type: ignore[assignment]
        told(finished)
    return [results[number] for number in range(count)]
