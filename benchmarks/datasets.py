"""Data sets: the check of 50,000 rows, sound ones and broken ones, and their conversion from OpenAI's form.

Beside the check stand `json.loads` of each line, which is the least that anybody does, and google-genai's own types
(`Content.model_validate`), by which somebody would look whether a row is one; beside the conversion `json.loads` and `json.dumps`
of each line. All take turns; seconds are of the processor, and all of it is one thread. The files have been read before.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._measure import Figure, Result, say
from vertex_tuning import data

ROWS = 50_000
_VALIDATED = 5_000
"""Rows that google-genai's types look at: they take long."""
_WORDS = [
    "invoice",
    "parcel",
    "refund",
    "please",
    "where",
    "charged",
    "twice",
    "login",
    "broken",
    "thanks",
    "für",
    "東京",
]


def measure(*, quick: bool) -> Result:
    """Check and convert."""
    repeats = 2 if quick else 7
    rows = ROWS // 10 if quick else ROWS
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-bench-") as scratch:
        folder = Path(scratch)
        sound, broken, openai = folder / "sound.jsonl", folder / "broken.jsonl", folder / "openai.jsonl"
        _write(rows, sound, broken, openai)
        ways: dict[str, tuple[int, Callable[[], Any]]] = {
            "check": (rows, lambda: _checked(sound, True)),
            "check of broken rows": (rows, lambda: _checked(broken, False)),
            "json.loads": (rows, lambda: _each(sound, json.loads)),
            "google-genai": (min(rows, _VALIDATED), lambda: _validated(sound)),
            "convert": (rows, lambda: _converted(openai, folder)),
            "loads and dumps": (rows, lambda: _each(openai, lambda line: json.dumps(json.loads(line)))),
        }
        speeds: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(repeats + 1):
            for way, (count, run) in ways.items():
                started = time.process_time()
                run()
                if turn:  # the first turn imports, and reads the files from the disk
                    speeds[way].append(count / (time.process_time() - started))
            if turn:
                say(f"datasets: {turn} of {repeats}: {speeds['check'][-1]:,.0f} rows/CPU-s")
        megabytes = sound.stat().st_size / 1e6
    middle = {way: statistics.median(found) for way, found in speeds.items()}

    def figure(
        what: str, ours: str, beside: str, other: str, goal: str = "", reached: bool | None = None
    ) -> Figure:
        ratio = statistics.median(one / two for one, two in zip(speeds[ours], speeds[other], strict=True))
        return Figure(
            what,
            middle[ours],
            "rows/CPU-s",
            beside,
            middle[other],
            more_is_better=True,
            paired_ratio=ratio,
            goal=goal,
            reached=reached,
        )

    what, fast = f"`data check` of {rows:,} rows ({megabytes:.0f} MB)", middle["check"] >= 150_000
    return Result(
        [
            figure(what, "check", "`json.loads` alone", "json.loads", ">= 150,000 rows/CPU-s", fast),
            figure(what, "check", "google-genai's `Content.model_validate`", "google-genai"),
            figure(
                "the same, one row in ten broken", "check of broken rows", "`json.loads` alone", "json.loads"
            ),
            figure(
                f"`data convert` of {rows:,} rows of OpenAI's, checked afterwards",
                "convert",
                "`json.loads` and `json.dumps` alone",
                "loads and dumps",
            ),
        ],
        {"rows_per_cpu_second": speeds, "rows": rows, "megabytes": megabytes},
    )


def _write(rows: int, sound: Path, broken: Path, openai: Path) -> None:
    """The same talk in Google's form and in OpenAI's."""
    chance = random.Random(0)
    with (
        sound.open("w", encoding="utf-8") as ours,
        broken.open("w", encoding="utf-8") as odd,
        openai.open("w", encoding="utf-8") as theirs,
    ):
        for number in range(rows):
            asked = " ".join(chance.choices(_WORDS, k=70)) + f" {number}"
            said = " ".join(chance.choices(_WORDS, k=30))
            system = {"parts": [{"text": "Route the message to a team."}]}
            turns = [
                {"role": "user", "parts": [{"text": asked}]},
                {"role": "model", "parts": [{"text": said}]},
            ]
            row = {"systemInstruction": system, "contents": turns}
            ours.write(json.dumps(row, ensure_ascii=False) + "\n")
            if number % 10 == 0:
                row = {**row, "contents": [{**turns[0], "role": "assistant"}, {"role": "model", "parts": []}]}
            odd.write(json.dumps(row, ensure_ascii=False) + "\n")
            messages = [
                {"role": "system", "content": "Route the message to a team."},
                {"role": "user", "content": asked},
                {"role": "assistant", "content": said},
            ]
            theirs.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


def _checked(path: Path, ok: bool) -> None:
    if data.check(path, method="supervised", base_model="gemini-2.5-flash").ok is not ok:
        raise RuntimeError(f"the check of {path.name} did not find what is in it")


def _converted(path: Path, folder: Path) -> None:
    made = folder / "made.jsonl"
    if not data.convert(path, output=made).ok:
        raise RuntimeError("a row was not converted")
    made.unlink()


def _each(path: Path, look: Callable[[str], Any]) -> None:
    with path.open(encoding="utf-8") as file:
        for line in file:
            look(line)


def _validated(path: Path) -> None:
    from google.genai import types

    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(_VALIDATED), file, strict=False):
            row = json.loads(line)
            for content in [row["systemInstruction"], *row["contents"]]:
                types.Content.model_validate(content)
