"""`/emulator/`: the emulator itself. Google has nothing of the kind; unmodified programs never come here."""

from __future__ import annotations

import os
import resource
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vertex_tuning
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.status import invalid

routes = Routes()

_MAX_EVENTS = 10_000


def resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 where it cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * resource.getpagesize()


@routes.get("emulator/status")
async def status(call: Call) -> dict[str, Any]:
    """Where it listens, what it works on, how its children do."""
    emulator = call.emulator
    workers = {
        name: {"pid": pid, "residentBytes": resident_bytes(pid)}
        for name, pid in {"trainer": emulator.jobs.pid, "serving": emulator.generation.pid}.items()
        if pid is not None
    }
    return {
        "address": emulator.address,
        "pid": os.getpid(),
        "ready": True,
        "data_dir": str(emulator.settings.data_dir),
        "project": emulator.settings.project,
        "location": emulator.settings.location,
        "stand_in": emulator.settings.stand_in,
        "version": vertex_tuning.__version__,
        "jobs": emulator.jobs.counts(),
        "resident_bytes": resident_bytes(os.getpid()),
        "workers": workers,
    }


@routes.get("emulator/events")
async def events(call: Call) -> dict[str, Any]:
    """The event log: `?after=ID`, `?resource=NAME`, `?limit=N`."""
    try:
        after = int(call.query.get("after", "0"))
        limit = min(int(call.query.get("limit", "1000")), _MAX_EVENTS)
    except ValueError as error:
        raise invalid(("after", "after and limit are numbers.")) from error
    found = call.emulator.db.events(call.query.get("resource"), after=after, limit=limit)
    return {"events": [asdict(event) for event in found]}


@routes.post("emulator/reset")
async def reset(call: Call) -> dict[str, Any]:
    """Forget everything but what was there from the start."""
    await call.emulator.reset()
    return {}
