"""Jobs that are gone through without training: the same states, rules, names and answers, on a clock that runs faster.

It runs and cancels jobs as `Trainer` does. The data is read and checked as ever, and counted by characters instead
of tokens; what nobody has measured, such as a loss, is left out. A checkpoint is a folder with a note in it, and what is asked of
a simulated model is answered by its base model.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.emulator.clock import CLOCK
from vertex_tuning.emulator.jobs.trainer import Event, Exit

LABEL = "simulated"
"""What the jobs, models and endpoints of a simulation are labelled with."""
NOTE = "simulated.json"

_TAKE_IN, _CAPACITY, _WRAP_UP = 300.0, 600.0, 300.0
_TOKENS_PER_SECOND = 5_000.0
"""Seconds of states, and a speed: of the size that tuning in the cloud has, and no more than an assumption."""
_CHARACTERS_PER_TOKEN = 4
_REPORTS = 20
_INVALID_ARGUMENT = 3
_BATCH = 8
_AT_ONCE = 16
"""Data sets that are read at the same time."""


class SimulatedTrainer:
    """Runs any number of jobs at once; what is ended with its task begins anew at the next start."""

    def __init__(self) -> None:
        self._working: dict[str, asyncio.Task[Exit]] = {}
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def run(self, job: str, order: dict[str, Any], on_event: Callable[[Event], None]) -> Exit:
        """As `Trainer.run`."""
        working = self._working[job] = asyncio.create_task(self._run(order, on_event))
        try:
            await asyncio.wait([working])
            return Exit(False) if working.cancelled() else working.result()
        finally:
            working.cancel()
            del self._working[job]

    async def cancel(self, job: str) -> None:
        """As `Trainer.cancel`."""
        if job in self._working:
            self._working[job].cancel()

    async def _run(self, order: dict[str, Any], on_event: Callable[[Event], None]) -> Exit:
        config, pace = order["config"], _Pace()
        await pace.take(_TAKE_IN)
        async with self._reading:
            fault = await asyncio.to_thread(_fault, order["kind"], config)
            if fault:
                on_event({"event": "failed", "code": _INVALID_ARGUMENT, "message": fault})
                return Exit(True)
            rows, tokens, stats = await asyncio.to_thread(_read, order["kind"], Path(config["training"]))
        epochs = config["epochs"] or 4
        batch = min(config["batch_size"] or _BATCH, rows)
        per_epoch = math.ceil(rows / batch)
        steps = config.get("steps") or min(per_epoch * epochs, config.get("max_steps") or per_epoch * epochs)
        epochs = math.ceil(steps / per_epoch)
        on_event({"event": "dataset", "stats": stats(steps, epochs)})
        await pace.take(_CAPACITY)
        kept = _kept(order["kind"], config, steps, per_epoch)
        shown = sorted({*range(1, steps, max(1, steps // _REPORTS)), *kept})
        checkpoints: list[dict[str, Any]] = []
        pause = tokens * epochs / _TOKENS_PER_SECOND / len(shown)
        for step in shown:
            await pace.take(pause)
            at = {"epoch": math.ceil(step / per_epoch), "step": step}
            on_event({"event": "step", "steps": steps, **at, "epoch": step / per_epoch})
            if step in kept:
                checkpoints.append({"checkpoint_id": str(len(checkpoints) + 1), **at})
                folder = Path(config["output"]) / "checkpoints" / checkpoints[-1]["checkpoint_id"]
                await asyncio.to_thread(_note, folder, at)
                on_event({"event": "checkpoint", **checkpoints[-1]})
        on_event({"event": "done", "steps": steps, "epochs": epochs, "checkpoints": checkpoints})
        await pace.take(_WRAP_UP)
        return Exit(True)


class _Pace:
    """What a job takes, one thing after the other: a clock that is put forward by an hour brings it an hour on."""

    def __init__(self) -> None:
        self._due = CLOCK.seconds()

    async def take(self, seconds: float) -> None:
        """Be done with something that takes so long."""
        self._due += seconds
        await CLOCK.sleep(self._due - CLOCK.seconds())


def is_note(checkpoint: Path) -> bool:
    """Whether a checkpoint is one of a simulation, without weights."""
    return (checkpoint / NOTE).exists()


def _fault(method: str, config: dict[str, Any]) -> str:
    from vertex_tuning import data, rewards  # not before they are needed: the server starts without

    names = (config["training_name"], config["validation_name"])
    reports = data.check_job(
        config["training"],
        config["validation"],
        method=method,
        base_model=config["base_model"],
        names=names,
    )
    if reports[0].ok and config.get("reward"):
        # No reward is computed here, but that none could be is seen: the job would stop.
        needed = rewards.from_json(config["reward"], strict=False).references
        data.look_for_references(needed, config["training"], reports[0])
    return data.refusal(reports)


Stats = Callable[[int, int], dict[str, Any]]


def _read(method: str, path: Path) -> tuple[int, int, Stats]:
    """Rows, tokens, and what is said of the set for so many steps and epochs."""
    from vertex_tuning.training.stats import PreferenceTally, PromptTally, Tally

    supervised, preference, prompts = Tally(), PreferenceTally(), PromptTally()
    rows = tokens = 0
    for row in _rows(path):
        rows += 1
        asked, answered, turns = _counted(row)
        tokens += asked + answered
        if method == "preference":
            preference.add(row, input_tokens=asked, output_tokens=answered)
        elif method == "reinforcement":
            prompts.add(row, input_tokens=asked, turns=turns)
        else:
            supervised.add(
                input_tokens=asked,
                output_tokens=answered,
                turns=turns,
                characters=_CHARACTERS_PER_TOKEN * (asked + answered),
                contents=row.get("contents"),
            )

    def stats(steps: int, epochs: int) -> dict[str, Any]:
        if method == "preference":
            return {"preferenceOptimizationDataStats": preference.to_json(steps=steps, epochs=epochs)}
        if method == "reinforcement":
            return {"reinforcementTuningDataStats": prompts.to_json(steps=steps)}
        if method == "distillation":
            found = supervised.prompts_to_json(steps=steps)
            return {"distillationDataStats": {"trainingDatasetStats": found}}
        return {"supervisedTuningDataStats": supervised.to_json(steps=steps, epochs=epochs)}

    return rows, tokens, stats


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        yield from (json.loads(line) for line in file if line.strip())


def _counted(row: dict[str, Any]) -> tuple[int, int, int]:
    """Tokens of what is asked and of what is answered, roughly, and turns."""
    turns = row.get("contents") or row.get("messages") or [row.get("prompt"), row.get("completion")]
    answers = row.get("completions") or ([turns[-1]] if _role(turns[-1]) != "user" else [])
    asked = turns if row.get("completions") or not answers else turns[:-1]
    return _tokens(asked), _tokens(answers), len(turns)


def _role(turn: Any) -> str:
    return str(turn.get("role", "")) if isinstance(turn, dict) else ""


def _tokens(turns: list[Any]) -> int:
    return sum(map(_characters, turns)) // _CHARACTERS_PER_TOKEN


def _characters(value: Any) -> int:
    """Of all texts in it; roles are short enough."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _kept(method: str, config: dict[str, Any], steps: int, per_epoch: int) -> set[int]:
    """After which steps there is a checkpoint: as the trainer has it, an epoch each, ten at most."""
    if config["last_checkpoint_only"]:
        return {steps}
    most = catalog.limits(method)["max_checkpoints"]
    every = config.get("checkpoint_interval") or per_epoch
    ends = [*range(every, steps, every), steps]
    if len(ends) <= most:
        return set(ends)
    return {ends[math.ceil((index + 1) * len(ends) / most) - 1] for index in range(most)}


def _note(folder: Path, at: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).write_text(json.dumps({"simulated": True, **at}) + "\n", encoding="utf-8")
