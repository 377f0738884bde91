"""A supervised job of 100 examples on the tiny model, from `client.tune()` to the first answer of the tuned model.

That is the check of the data, the upload, the job with its queue, the training, the registration of what it made, and a
generation, all through Google's clients. It is measured on a fresh emulator, whose children have yet to import torch, and on the
same one after that, when it is warm. Beside it stands the training alone: the same data by `supervised.run` in a process that
has imported everything. The examples are film reviews, as `vertex-tuning demo` has them; other ones in every job, since the same
data would not be uploaded twice.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, Figure, Result, child, emulator, say
from vertex_tuning import SupervisedTuning, TuningClient, catalog, connect, training
from vertex_tuning.cli import demo
from vertex_tuning.config import home
from vertex_tuning.emulator.workers.process import scrubbed_environment

STAND_IN = "tiny-0.1m"
ROWS = 100
SECONDS = 10


def measure(*, quick: bool) -> Result:
    """The whole way, cold and warm, and the training alone."""
    repeats = 2 if quick else 5
    _, examples = demo._examples(home() / "datasets", ROWS * (repeats + 1))
    rows = [demo._row(*example) for example in examples]
    first, *sets = (rows[start : start + ROWS] for start in range(0, len(rows), ROWS))
    with emulator(), connect("local") as client:
        cold = _to_first_answer(client, first)
        say(f"job: {cold:.1f} s on a fresh emulator")
        warm, alone = [], []
        for turn, others in enumerate(sets, 1):
            warm.append(_to_first_answer(client, others))
            alone.append(_training_alone(others))
            say(f"job: {turn} of {repeats}: {warm[-1]:.1f} s, training alone {alone[-1]:.1f} s")
    ours, beside = statistics.median(warm), statistics.median(alone)
    what = f"job of {ROWS} examples on {STAND_IN}, from `tune()` to the first answer"
    return Result(
        [
            Figure(
                f"{what}, warm emulator",
                ours,
                "s",
                "training alone",
                beside,
                goal=f"< {SECONDS} s",
                reached=ours < SECONDS,
            ),
            Figure(f"{what}, fresh emulator", cold, "s", "training alone", beside),
        ],
        {"warm_seconds": warm, "fresh_seconds": cold, "training_alone_seconds": alone},
    )


def _to_first_answer(client: TuningClient, rows: Sequence[dict[str, Any]]) -> float:
    spec = SupervisedTuning(base_model="gemini-2.5-flash", training=rows)
    started = time.perf_counter()
    client.tune(spec).result().generate(rows[0]["contents"][:1], temperature=0, max_output_tokens=8)
    return time.perf_counter() - started


def _training_alone(rows: Sequence[dict[str, Any]]) -> float:
    """Seconds of the same run: rank, epochs, batch size and threads are what the emulator decides for the job above."""
    model = catalog.stand_in(STAND_IN)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        config = {
            "model": str(Path(training.__file__).parent / "tiny" / STAND_IN),
            "training": str(data),
            "output": f"{folder}/output",
            "learning_rate": model.learning_rate_adapter,
            "adapter_size": 4,
            "max_tokens": model.max_tokens,
            "threads": CORES,
        }
        return float(child("train_ours.py", config, scrubbed_environment())["seconds"])
