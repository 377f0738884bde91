"""What reinforcement from preferences brings, over several seeds: the model that a reward model paid, against the one before.

    python benchmarks/rlhf.py                     into rlhf.json and rlhf.md
    python benchmarks/rlhf.py --at-once 5         seeds side by side, where there is a GPU

The steps of the pipeline `rlhf` (docs/rlhf.md) with SmolLM2-135M-Instruct, each seed from tuning by example to the test prompts;
what is trained is trained in this process' children, and in no custom job. All seeds have the same texts, and the pipeline's own
parameters. Two answers to each test prompt are sampled, one has the likeliest tokens. Intervals are bootstraps of 95 % in which
test prompts and seeds are drawn again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, child, machine, say
from vertex_tuning.config import home
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.metrics.intervals import crossed_difference
from vertex_tuning.pipelines import compiled

FOLDER = Path(__file__).resolve().parent
DATA, TABLE = FOLDER / "rlhf.json", FOLDER / "rlhf.md"
STAND_IN = "smollm2-135m-instruct"
SEEDS = (42, 43, 44, 45, 46)
SAMPLES = 2
MEASURES = {
    "measure": "token F1, the independent measure",
    "reward": "reward",
    "length": "words",
    "repetition": "repeated words",
}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="seeds that are trained side by side"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where rlhf.json and rlhf.md are kept")
    options = parser.parse_args()
    weights = WeightsStore(home() / "weights").pull(STAND_IN, progress=say)
    told = {name: one.default for name, one in compiled.load("rlhf").parameters.items()}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-rlhf-") as scratch:

        def learn(seed: int) -> dict[str, Any]:
            given = {
                "weights": str(weights),
                "parameters": told,
                "seed": seed,
                "samples": SAMPLES,
                "threads": max(1, CORES // options.at_once),
                "folder": f"{scratch}/{seed}",
            }
            found = child("rlhf.py", given)
            before, after = (
                statistics.fmean(found[which]["measure"]["sampled"]) for which in ("before", "after")
            )
            say(
                f"seed {seed}: {before:.3f} to {after:.3f}, {time.monotonic() - began:.0f} s after the beginning"
            )
            return found

        with ThreadPoolExecutor(options.at_once) as pool:
            found = list(pool.map(learn, SEEDS))
    results = {"machine": machine(), "date": datetime.date.today().isoformat(), **_judged(found)}
    (options.folder / DATA.name).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.folder / TABLE.name).write_text(table(results), encoding="utf-8")
    print(table(results))


def _judged(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means, gains with intervals, and each seed by itself."""
    compared = {}
    for name in MEASURES:
        for kind in ("sampled", "likeliest"):
            before, after = ([one[which][name][kind] for one in found] for which in ("before", "after"))
            gain = crossed_difference(after, before)
            compared[f"{name}, {kind}"] = {
                "before": statistics.fmean(map(statistics.fmean, before)),
                "after": statistics.fmean(map(statistics.fmean, after)),
                "gain": [gain.estimate, gain.low, gain.high],
                "seeds": [
                    statistics.fmean(second) - statistics.fmean(first)
                    for first, second in zip(before, after, strict=True)
                ],
            }
    told = ("seed", "pairs", "judge", "reinforced", "kept_step")
    seeds = [{name: one[name] for name in told} for one in found]
    for one in seeds:
        del one["judge"]["uri"]
    return {"rows": len(found[0]["before"]["measure"]["sampled"]), "compared": compared, "seeds": seeds}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where, seeds = results["machine"], results["seeds"]
    on = ", ".join([*where.get("gpus", ()), where["cpu"]])
    right, pairs = (
        statistics.fmean(seed[of][name] for seed in seeds)
        for of, name in (("judge", "accuracy"), ("pairs", "training"))
    )
    lines = [
        f"{len(seeds)} seeds, {results['rows']} test prompts; {on}, {where['cores']} cores, "
        f"{results['date']}. The reward models learnt from {pairs:.0f} pairs, and have {right:.1%} of those kept back right.",
        "",
        "| answers | measured | by example | reinforced | gain, 95 % interval | its seeds |",
        "|---|---|--:|--:|--:|---|",
    ]
    for key, row in results["compared"].items():
        name, kind = key.split(", ")
        form = "{:.1f}" if name == "length" else "{:.3f}"
        signed = form.replace(":", ":+")
        gain, low, high = (signed.format(value) for value in row["gain"])
        each = ", ".join(signed.format(value) for value in row["seeds"])
        lines.append(
            f"| {kind} | {MEASURES[name]} | {form.format(row['before'])} | {form.format(row['after'])} "
            f"| {gain}, {low} to {high} | {each} |"
        )
    lines += [
        "",
        "| seed | the reward model is right in | kept after step | nats a token | hacking seen |",
        "|--:|--:|--:|--:|---|",
    ]
    for seed in seeds:
        of = seed["reinforced"]
        lines.append(
            f"| {seed['seed']} | {seed['judge']['accuracy']:.1%} | {seed['kept_step']} | {of['kl']:.2f} "
            f"| {'yes: stopped there' if of['hacked'] else 'no'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
