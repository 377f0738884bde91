"""How fast a step of reinforcement tuning is, beside TRL's `GRPOTrainer`.

Both tune SmolLM2-135M-Instruct on the film reviews of `vertex-tuning demo`: four prompts a step, eight answers to each of up to
eight tokens, a reward that pays for the right label, LoRA of rank 8 and alpha 16 on every linear layer, bf16 autocast where the
processor multiplies bf16, no reference model, gradient checkpointing off, a thread per core. Each run is a process of its own, in
turns, with a seed of its own; the first step of each is not counted. How much there is to do depends on how long the answers are:
models that have learnt to say one word answer sooner. So the steps are few, and the rewards are written down beside the times.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, Figure, Result, child, machine, number, say
from vertex_tuning import catalog, rewards
from vertex_tuning.cli import demo
from vertex_tuning.config import home
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.emulator.workers.process import scrubbed_environment

STAND_IN = "smollm2-135m-instruct"
STEPS = 6
SEEDS = (42, 43, 44)


def measure(*, quick: bool) -> Result:
    """Seconds a step, and seconds of the processor."""
    store = WeightsStore(home() / "weights")
    store.pull(STAND_IN, progress=say)
    training, _ = demo._examples(home() / "datasets", 1)
    environment = scrubbed_environment({"OMP_NUM_THREADS": str(CORES)})
    rounds = []
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-bench-") as folder:
        config = {
            "model": str(store.path(STAND_IN)),
            "training": _write(Path(folder) / "prompts.jsonl", training),
            "learning_rate": catalog.stand_in(STAND_IN).learning_rate_reinforcement,
            "adapter_size": 8,
            "steps": 2 if quick else STEPS,
            "batch_size": 4,
            "samples_per_prompt": 8,
            "max_output_tokens": 8,
            "threads": CORES,
            "last_checkpoint_only": True,
        }
        reward = rewards.exact_match("{{references.answer}}", name="right").request()
        for seed in SEEDS[:1] if quick else SEEDS:
            found: dict[str, Any] = {"seed": seed}
            for who, program, more in (
                ("ours", "try_ours.py", {"reward": reward}),
                ("trl", "try_trl.py", {}),
            ):
                told = {**config, **more, "seed": seed, "output": tempfile.mkdtemp(dir=folder)}
                given = {"config": told, "bf16": machine()["avx512_bf16"]}
                found[who] = child(program, given, environment)
                times = f"{number(found[who]['seconds'])} s, {number(found[who]['cpu_seconds'])} CPU-s a step"
                say(f"reinforcement: {who}: {times}")
            rounds.append(found)
    return Result(
        [
            _figure(
                f"a step of reinforcement tuning, {STAND_IN}, 4 prompts x 8 answers", "seconds", "s", rounds
            ),
            _figure("the same, by the time that the processor spent on it", "cpu_seconds", "CPU-s", rounds),
        ],
        {"rounds": rounds},
    )


def _figure(what: str, key: str, unit: str, rounds: list[dict[str, Any]]) -> Figure:
    ours, theirs = (statistics.median(one[who][key] for one in rounds) for who in ("ours", "trl"))
    ratio = statistics.median(one["trl"][key] / one["ours"][key] for one in rounds)
    return Figure(what, ours, unit, "TRL `GRPOTrainer`", theirs, paired_ratio=ratio)


def _write(path: Path, examples: list[demo.Example]) -> str:
    rows = (
        {"contents": demo._row(text, label)["contents"][:-1], "references": {"answer": label}}
        for text, label in examples
    )
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)
