"""Does each way of tuning teach? Base against tuned, on rows that nobody has trained on.

    python benchmarks/learning.py            all of them, into learning.json and learning.md
    python benchmarks/learning.py preference these; the others keep their earlier figures

SmolLM2-135M-Instruct, a hundred film reviews to learn from, two hundred to be asked, three seeds. Every way learns from the same
reviews: by example from the right label, by preference from the right label and the wrong one. Intervals are paired bootstraps of
95 % over the held-out rows, each row with the mean of its three seeds, so that the rows are what the chance is about; the single
seeds stand beside.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, child, machine, say
from vertex_tuning import catalog
from vertex_tuning.cli import demo
from vertex_tuning.config import home
from vertex_tuning.emulator.weights import WeightsStore
from vertex_tuning.emulator.workers.process import scrubbed_environment
from vertex_tuning.metrics.intervals import paired_difference

FOLDER = Path(__file__).resolve().parent
DATA = FOLDER / "learning.json"
TABLE = FOLDER / "learning.md"
STAND_IN = "smollm2-135m-instruct"
SEEDS = (42, 43, 44)
HELD_OUT = 200

_model = catalog.stand_in(STAND_IN)
WAYS: dict[str, dict[str, Any]] = {
    "supervised, adapter": {
        "method": "supervised",
        "config": {"adapter_size": 8, "epochs": 4, "learning_rate": _model.learning_rate_adapter},
    },
    "supervised, every weight": {
        "method": "supervised",
        "config": {"mode": "full", "epochs": 4, "learning_rate": _model.learning_rate_full},
    },
    "preference": {
        "method": "preference",
        "config": {"adapter_size": 8, "epochs": 3, "learning_rate": _model.learning_rate_preference},
    },
}


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; all without")
    options = parser.parse_args()
    chosen = options.ways or list(WAYS)
    if unknown := set(chosen) - set(WAYS):
        parser.error(f"there is no way {', '.join(sorted(unknown))}")
    results = {"machine": machine(), "ways": {}}
    if DATA.exists():
        results["ways"] = json.loads(DATA.read_text(encoding="utf-8"))["ways"]
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-learning-") as folder:
        results["ways"].update(_learn(Path(folder), chosen))
    DATA.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(table(results), encoding="utf-8")
    print(table(results))


def _learn(folder: Path, chosen: list[str]) -> dict[str, Any]:
    store = WeightsStore(home() / "weights")
    store.pull(STAND_IN, progress=say)
    training, held_out = demo._examples(home() / "datasets", HELD_OUT)
    labels = sorted({label for _, label in training})
    files = {
        "supervised": _write(folder / "examples.jsonl", [demo._row(*item) for item in training]),
        "preference": _write(folder / "pairs.jsonl", [_pair(*item, labels) for item in training]),
    }
    asked = _write(folder / "held_out.jsonl", [_question(*item, labels) for item in held_out])
    common = {"model": str(store.path(STAND_IN)), "rows": asked, "threads": CORES}
    environment = scrubbed_environment({"OMP_NUM_THREADS": str(CORES)})

    def ask(way: dict[str, Any], seed: int) -> dict[str, Any]:
        config = {
            "model": common["model"],
            "training": files.get(way["method"]),
            "threads": CORES,
            "seed": seed,
            "output": tempfile.mkdtemp(dir=folder),
            "last_checkpoint_only": True,
            "max_tokens": _model.max_tokens,
            **way["config"],
        }
        return child("learn.py", {**common, "method": way["method"], "config": config}, environment)

    base = ask({"method": "", "config": {}}, 0)
    found = {}
    for name in chosen:
        started = time.monotonic()
        tuned = [ask(WAYS[name], seed) for seed in SEEDS]
        found[name] = {
            **_compare(base, tuned),
            "config": WAYS[name]["config"],
            "seconds": round(time.monotonic() - started),
            "date": datetime.date.today().isoformat(),
        }
        say(f"{name}: {json.dumps(found[name]['measures'])}")
    return found


def _compare(base: dict[str, Any], tuned: list[dict[str, Any]]) -> dict[str, Any]:
    """Measures, each with base, tuned, seeds and the interval of the gain."""
    measures = {
        "choice": [_chosen(one) for one in (base, *tuned)],
        "word for word": [one["exact"] for one in (base, *tuned)],
        # Of the base nothing has become likelier: chance is one in two.
        "right answer likelier than before": [
            [0.5] * len(base["right"]),
            *(
                [after > before for after, before in zip(one["right"], base["right"], strict=True)]
                for one in tuned
            ),
        ],
    }
    found = {}
    for name, (before, *after) in measures.items():
        means = [statistics.fmean(values) for values in zip(*after, strict=True)]
        gain = paired_difference(means, before)
        found[name] = {
            "base": round(statistics.fmean(before), 4),
            "tuned": round(statistics.fmean(means), 4),
            "seeds": [round(statistics.fmean(values), 4) for values in after],
            "gain": [round(value, 4) for value in (gain.estimate, gain.low, gain.high)],
        }
    return {"measures": found}


def _chosen(one: dict[str, Any]) -> list[bool]:
    return [right > wrong for right, wrong in zip(one["right"], one["wrong"], strict=True)]


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = results["machine"]
    lines = [
        f"{_model.title}, {HELD_OUT} held-out reviews, three seeds; {where['cpu']}, {where['cores']} cores.",
        "",
        "| tuned by | measured | base | tuned (its seeds) | gain, 95 % interval | training and asking, date |",
        "|---|---|--:|--:|--:|---|",
    ]
    for name, way in results["ways"].items():
        for measure, one in way["measures"].items():
            seeds = ", ".join(f"{value:.3f}" for value in one["seeds"])
            gain, low, high = one["gain"]
            lines.append(
                f"| {name} | {measure} | {one['base']:.3f} | **{one['tuned']:.3f}** ({seeds}) "
                f"| {gain:+.3f}, {low:+.3f} to {high:+.3f} | {way['seconds']} s, {way['date']} |"
            )
    return "\n".join(lines) + "\n"


def _pair(text: str, label: str, labels: list[str]) -> dict[str, Any]:
    *asked, answer = demo._row(text, label)["contents"]
    other = {"role": "model", "parts": [{"text": _other(label, labels)}]}
    return {
        **{key: value for key, value in demo._row(text, label).items() if key != "contents"},
        "contents": asked,
        "completions": [{"score": 1, "completion": answer}, {"score": 0, "completion": other}],
    }


def _question(text: str, label: str, labels: list[str]) -> dict[str, Any]:
    row = demo._row(text, label)
    return {**row, "contents": row["contents"][:-1], "right": label, "wrong": _other(label, labels)}


def _other(label: str, labels: list[str]) -> str:
    return next(name for name in labels if name != label)


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main()
