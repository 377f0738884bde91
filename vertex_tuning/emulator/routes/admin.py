"""`/emulator/`: the emulator itself. Google has nothing of the kind; unmodified programs never come here."""

from __future__ import annotations

import math
import os
import resource
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vertex_tuning
from vertex_tuning.emulator import environment
from vertex_tuning.emulator.api import Call, Routes
from vertex_tuning.emulator.clock import CLOCK
from vertex_tuning.emulator.state import now
from vertex_tuning.emulator.status import ApiError, Code, invalid

routes = Routes()

_MAX_EVENTS = 10_000
_MOST_SECONDS = 31_536_000


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
    children = {
        "trainer": emulator.jobs.pid,
        "serving": emulator.generation.pid,
        "grpc": emulator.grpc.pid,
        **{f"custom job {job}": pid for job, pid in emulator.custom_jobs.pids.items()},
        **{f"pipeline job {job}": pid for job, pid in emulator.pipelines.pids.items()},
    }
    return {
        "address": emulator.address,
        "pid": os.getpid(),
        "ready": True,
        "data_dir": str(emulator.settings.data_dir),
        "project": emulator.settings.project,
        "location": emulator.settings.location,
        "stand_in": emulator.settings.stand_in,
        "simulate": emulator.settings.simulate,
        "maps": dict(emulator.settings.maps),
        "version": vertex_tuning.__version__,
        "jobs": emulator.jobs.counts(),
        "resident_bytes": resident_bytes(os.getpid()),
        "workers": {
            name: {"pid": pid, "resident_bytes": resident_bytes(pid)}
            for name, pid in children.items()
            if pid is not None
        },
    }


@routes.get("emulator/environment")
async def variables(call: Call) -> dict[str, Any]:
    """The variables that lead unmodified programs here, and those they must not have; makes the keys."""
    emulator = call.emulator
    bundle, credentials = await emulator.keys.bundle(), await emulator.keys.key_file()
    found = environment.variables(emulator.record, bundle, credentials)
    return {"set": found, "unset": environment.cleared(found, ())}


@routes.get("emulator/events")
async def events(call: Call) -> dict[str, Any]:
    """The event log: `?after=ID`, `?resource=NAME`, `?limit=N`."""
    numbers = {"after": 0, "limit": 1000}
    for name in numbers:
        given = call.query.get(name, "")
        if given and not (given.isascii() and given.isdigit()):
            raise invalid((name, f"{name} is a number that is not negative."))
        numbers[name] = int(given or numbers[name])
    found = call.emulator.db.events(
        call.query.get("resource"), after=numbers["after"], limit=min(numbers["limit"], _MAX_EVENTS)
    )
    return {"events": [asdict(event) for event in found]}


@routes.get("emulator/clock")
async def clock(_: Call) -> dict[str, Any]:
    """What time it is here, and how fast it runs."""
    return {"now": now(), "speed": CLOCK.speed}


@routes.post("emulator/clock")
async def advance(call: Call) -> dict[str, Any]:
    """Put the clock of a simulation forward: `?advance=SECONDS`."""
    try:
        seconds = float(call.query.get("advance", ""))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MOST_SECONDS:
        raise invalid(("advance", f"advance is a number of seconds: 0 to {_MOST_SECONDS:,}."))
    if call.emulator.settings.simulate is None:
        raise ApiError(
            Code.FAILED_PRECONDITION, "Time is real here: start the emulator with --simulate.", rule="VT412"
        )
    CLOCK.advance(seconds)
    return {"now": now(), "speed": CLOCK.speed}


@routes.post("emulator/reset")
async def reset(call: Call) -> dict[str, Any]:
    """Forget everything but what was there from the start."""
    await call.emulator.reset()
    return {}
