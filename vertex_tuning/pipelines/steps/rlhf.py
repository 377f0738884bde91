"""Steps from preferences to a model that was paid by them: everything is trained in our container, as custom jobs.

    prepare -> tune by example -> prefer -> reward model -> reinforce -> evaluate -> gate -> report

A model is passed on as the `gs://` folder of an adapter; the base weights are the same for all. Sets are folders of JSONL.
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import vertex_tuning
from vertex_tuning import catalog, connect
from vertex_tuning.config import home
from vertex_tuning.data.folders import download_folder
from vertex_tuning.errors import PipelineError
from vertex_tuning.pipelines import simulated
from vertex_tuning.pipelines.steps import ranked
from vertex_tuning.pipelines.steps._step import read_json, step, write, write_json
from vertex_tuning.pipelines.steps.tuning import Stoppable, begin_training

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.custom import Trained

log = logging.getLogger(__name__)

DEMONSTRATIONS, QUESTIONS, PROMPTS = "demonstrations.jsonl", "questions.jsonl", "prompts.jsonl"
HELD_OUT, TEST, PAIRS, HELD_OUT_PAIRS = "held-out.jsonl", "test.jsonl", "pairs.jsonl", "held-out-pairs.jsonl"
ABOUT = "about.json"
"""Whose preferences they are, and what the independent measure is."""
_DATA = "film-reviews"
_MEASURE = {"measure": "token_f1", "measured_against": simulated.REFERENCE}
_FEWEST = 20


class Prepared(NamedTuple):
    """Rows of each set."""

    demonstrations: int
    questions: int
    prompts: int
    held_out: int
    test: int


class Preferred(NamedTuple):
    """Pairs of each set."""

    training: int
    held_out: int


class Judge(NamedTuple):
    """A reward model, and how good it is on held-out pairs."""

    uri: str
    accuracy: float
    calibration_error: float


class Reinforced(NamedTuple):
    """What reinforcement came to."""

    model: str
    """The best checkpoint by the independent measure; the model that it began with, where none was better."""
    hacked: bool
    kl: float
    """Of the model that was kept from the one that it began with, in nats a token: over the steps up to it."""


# Data


@step
def prepare(
    sets: str,
    *,
    demonstrations: int,
    questions: int,
    prompts: int,
    held_out: int,
    test: int,
    seed: int,
    preference_data: str = "",
) -> Prepared:
    """People's pairs, or real texts for simulated ones, taken apart so that no set has a prompt of another.

    Args:
        sets: Folder that gets the sets.
        demonstrations: Rows to learn by example from; of people's pairs, all that were preferred are.
        questions: Texts whose answers will be ranked, where nobody has ranked any.
        prompts: To be tried in reinforcement.
        held_out: Prompts that are looked at while it goes on.
        test: Prompts that nothing is decided by before the end.
        seed: Another one takes them apart in another way.
        preference_data: Pairs that people ranked, JSONL as for preference tuning; empty: simulated preferences.

    Raises:
        DatasetError: VT200, with every fault of the pairs.
        PipelineError: VT768 the texts cannot be fetched, VT769 there are not so many.
    """
    if preference_data:
        return _own(Path(sets), preference_data, prompts=prompts, held_out=held_out, test=test, seed=seed)
    counts = Prepared(demonstrations, questions, prompts, held_out, test)
    texts = simulated.texts(_fetched(), seed=seed)
    if sum(counts) > len(texts) or min(counts) < _FEWEST:
        what = f"{sum(counts):,} texts are asked for, {min(counts)} the fewest of a kind; there are {len(texts):,}"
        raise PipelineError("VT769", what, fix=f"{_FEWEST} of each kind at least, and {len(texts):,} in all")
    folder, pick = Path(sets), random.Random(seed)
    parts = iter(texts)
    for name, count in zip((DEMONSTRATIONS, QUESTIONS, PROMPTS, HELD_OUT, TEST), counts, strict=True):
        some = [next(parts) for _ in range(count)]
        learnt = name == DEMONSTRATIONS
        rows = [simulated.demonstration(text, pick) if learnt else simulated.prompt(text) for text in some]
        write_rows(folder / name, rows)
    write_json(str(folder / ABOUT), {"preferences": simulated.NOTE, "measure": simulated.RULE})
    log.info("%s", simulated.NOTE)
    return counts


def _own(sets: Path, source: str, **counts: int) -> Prepared:
    found = ranked.take_apart(source, **counts)
    names = {
        DEMONSTRATIONS: "demonstrations",
        PAIRS: "pairs",
        HELD_OUT_PAIRS: "held_out_pairs",
        PROMPTS: "prompts",
        HELD_OUT: "held_out",
        TEST: "test",
    }
    for name, kind in names.items():
        write_rows(sets / name, found[kind])
    write_json(str(sets / ABOUT), {"preferences": f"preferences of {source}", "measure": ranked.MEASURE})
    sizes = {kind: len(rows) for kind, rows in found.items()}
    return Prepared(sizes["demonstrations"], 0, sizes["prompts"], sizes["held_out"], sizes["test"])


def people_ranked(sets: str, preferences: str) -> Preferred | None:
    """Hand on the pairs that people ranked; None where nobody has."""
    if not (Path(sets) / PAIRS).exists():
        return None
    both = [rows_of(Path(sets) / name) for name in (PAIRS, HELD_OUT_PAIRS)]
    for name, rows in zip((PAIRS, HELD_OUT_PAIRS), both, strict=True):
        write_rows(Path(preferences) / name, rows)
    return Preferred(len(both[0]), len(both[1]))


@step
def prefer(
    sets: str, *, model: str, weights: str, host: str, place: str, preferences: str, seed: int
) -> Preferred:
    """Pairs that people ranked; or two answers of the tuned model to each question, ranked by the rule that stands for people.

    Args:
        sets: What `prepare` wrote.
        model: `gs://` folder of the adapter that answers.
        weights: As for `reward_model`.
        host: As for `reward_model`.
        place: URI of an output of this step.
        preferences: Folder that gets the pairs, a sixth of them held out.
        seed: Of the sampling.

    Raises:
        PipelineError: VT769, hardly any answers differ.
    """
    if (found := people_ranked(sets, preferences)) is not None:
        return found
    said = _answers(
        Path(sets) / QUESTIONS,
        model=model,
        weights=weights,
        host=host,
        place=place,
        samples_per_prompt=2,
        seed=seed,
    )
    both = [[answer["text"] for answer in one["answers"]] for one in said]
    return by_the_rule(rows_of(Path(sets) / QUESTIONS), both, preferences)


def by_the_rule(
    questions: Sequence[Mapping[str, Any]], answers: Sequence[Sequence[str]], preferences: str
) -> Preferred:
    """Pairs, as the rule ranks two answers to each question; a sixth of them held out.

    Raises:
        PipelineError: VT769, hardly any answers differ.
    """
    texts = [row["contents"][0]["parts"][0]["text"] for row in questions]
    rows = [simulated.preference(text, two) for text, two in zip(texts, answers, strict=True)]
    pairs = [row for row in rows if row is not None]
    if len(pairs) < 2 * _FEWEST:
        what = f"of {len(texts)} questions only {len(pairs)} had two answers that differ by the rule"
        raise PipelineError("VT769", what, fix="more questions")
    held_out = len(pairs) // 6
    write_rows(Path(preferences) / PAIRS, pairs[held_out:])
    write_rows(Path(preferences) / HELD_OUT_PAIRS, pairs[:held_out])
    return Preferred(len(pairs) - held_out, held_out)


# Models


@step
def tune_by_example(
    sets: str,
    *,
    weights: str,
    host: str,
    place: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    model: str,
    about: dict[str, Any],
) -> str:
    """Learn the task from demonstrations; the `gs://` folder of the adapter.

    Args:
        sets: What `prepare` wrote.
        weights: As for `reward_model`.
        host: As for `reward_model`.
        place: URI of an output of this step.
        epochs: Passes over the demonstrations.
        learning_rate: Peak rate.
        seed: Of the order.
        model: Where a file that names the adapter is put.
        about: Metadata of that artifact, filled here.
    """
    given: dict[str, Any] = {
        "training": str(Path(sets) / DEMONSTRATIONS),
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    given |= {"seed": seed, "last_checkpoint_only": True}
    trained = _trained("supervised", given, weights, host, place)
    about |= {"uri": trained.model_uri, "job": trained.job, "weights": weights}
    write_json(model, about)
    return trained.model_uri


@step
def reward_model(
    preferences: str,
    *,
    model: str,
    weights: str,
    host: str,
    place: str,
    card: str,
    figures: dict[str, Any],
    epochs: int,
    learning_rate: float,
    seed: int,
) -> Judge:
    """Learn to say which answer is preferred, from the weights of the model that gave them where these are known.

    Args:
        preferences: What `prefer` wrote.
        model: `gs://` folder of the adapter that is put into the weights first; empty: none.
        weights: Open base weights: a folder, a `gs://` folder, or the name of a stand-in that was fetched.
        host: Machine, as `catalog.hosts()` has it.
        place: URI of an output of this step.
        card: Where `reward.json` is put.
        figures: Metadata of that artifact, filled here.
        epochs: Passes over the pairs.
        learning_rate: Peak rate.
        seed: Of the order, and of the head.
    """
    given = {
        "training": str(Path(preferences) / PAIRS),
        "validation": str(Path(preferences) / HELD_OUT_PAIRS),
        **({"initial": model} if model else {}),
        "mode": "adapter",
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
        "last_checkpoint_only": True,
    }
    with connect() as client:
        trained = _run(client, "reward", given, weights, host, place)
        found = _fetch_json(client, f"{trained.model_uri}/reward.json")
    write_json(card, found)
    figures |= {name: value for name, value in found.items() if isinstance(value, int | float)}
    return Judge(trained.model_uri, found["accuracy"], found["calibration_error"])


@step
def reinforce(
    sets: str,
    *,
    model: str,
    judge: str,
    weights: str,
    host: str,
    place: str,
    history: str,
    figures: dict[str, Any],
    steps: int,
    batch_size: int,
    samples_per_prompt: int,
    max_output_tokens: int,
    learning_rate: float,
    beta: float,
    look_every: int,
    seed: int,
) -> Reinforced:
    """Try answers, paid by the reward model, on a leash; stop where the reward is seen to be hacked.

    Args:
        sets: What `prepare` wrote.
        model: `gs://` folder of the adapter to begin with.
        judge: `gs://` folder of the reward model.
        weights: As for `reward_model`.
        host: As for `reward_model`.
        place: URI of an output of this step.
        history: Where what was seen on the way is put, as JSON.
        figures: Metadata of that artifact, filled here.
        steps: Of reinforcement.
        batch_size: Prompts in a step.
        samples_per_prompt: Answers to each.
        max_output_tokens: Of an answer.
        learning_rate: Peak rate.
        beta: What a nat of distance costs, by the token.
        look_every: Steps between two looks at the held-out prompts.
        seed: Of the sampling.
    """
    given = {
        "training": str(Path(sets) / PROMPTS),
        "validation": str(Path(sets) / HELD_OUT),
        "initial": model,
        "reward_model": judge,
        "steps": steps,
        "batch_size": batch_size,
        "samples_per_prompt": samples_per_prompt,
        "max_output_tokens": max_output_tokens,
        "learning_rate": learning_rate,
        "beta": beta,
        "evaluate_interval": look_every,
        "checkpoint_interval": steps,
        "seed": seed,
        **_MEASURE,
    }
    trained = _trained("reinforcement", given, weights, host, place)
    done = trained.events[-1]
    uris = {one["checkpoint_id"]: one["uri"] for one in trained.checkpoints}
    looks = [event for event in trained.events if event["event"] == "look"]
    distances = [event["kl"] for event in trained.events if "kl" in event]
    kept = next(
        (one["step"] for one in trained.checkpoints if one["checkpoint_id"] == done["best_checkpoint"]), 0
    )
    near = distances[max(0, kept - look_every) : kept]
    kl = statistics.fmean(near) if near else 0.0
    found = {
        "looks": looks,
        "kl": distances,
        "kept_step": kept,
        "kept_kl": kl,
        "steps": done["steps"],
        "planned": steps,
        "hacked": done["hacked"],
        "reasons": done["reasons"],
    }
    write_json(history, found)
    figures |= {"kl": kl, "steps": done["steps"], "kept_step": kept, "hacked": float(done["hacked"])}
    return Reinforced(uris.get(done["best_checkpoint"], model), done["hacked"], kl)


@step
def answer(
    sets: str,
    *,
    model: str,
    judge: str,
    weights: str,
    host: str,
    place: str,
    answers: str,
    samples_per_prompt: int,
    max_output_tokens: int,
) -> float:
    """The test prompts answered, and scored by the reward model and by the rule: the mean of sampled answers by the rule.

    Answers are sampled at temperature 1, as reinforcement tries them and the service answers by default; and each prompt is
    answered once with the likeliest tokens.

    Args:
        sets: What `prepare` wrote.
        model: `gs://` folder of the adapter that answers.
        judge: `gs://` folder of the reward model.
        weights: As for `reward_model`.
        host: As for `reward_model`.
        place: URI of an output of this step.
        answers: Where the answers are put, as JSONL: `sampled` and `likeliest`.
        samples_per_prompt: How many are sampled, two at least.
        max_output_tokens: Of an answer.
    """
    sampled, likeliest = (
        _answers(
            Path(sets) / TEST,
            model=model,
            weights=weights,
            host=host,
            place=f"{place}#{several}",
            reward_model=judge,
            samples_per_prompt=several,
            max_output_tokens=max_output_tokens,
            **_MEASURE,
        )
        for several in (max(2, samples_per_prompt), 1)
    )
    return write_answers(
        answers, [one["answers"] for one in sampled], [one["answers"][0] for one in likeliest]
    )


def write_answers(
    path: str, sampled: Sequence[Sequence[Mapping[str, Any]]], likeliest: Sequence[Mapping[str, Any]]
) -> float:
    """Answers as the judgement reads them: a line for each prompt; the mean of the sampled ones by the rule."""
    both = zip(sampled, likeliest, strict=True)
    write_rows(Path(path), [{"sampled": list(several), "likeliest": one} for several, one in both])
    return statistics.fmean(answer["measure"] for several in sampled for answer in several)


# Shared


def _answers(
    asked: Path, *, model: str, weights: str, host: str, place: str, **more: Any
) -> list[dict[str, Any]]:
    with connect() as client:
        trained = _run(
            client, "answering", {"training": str(asked), "initial": model, **more}, weights, host, place
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.jsonl"
            download_folder(client.connection.storage, f"{trained.output_uri}/answers.jsonl", path)
            return rows_of(path)


def _trained(method: str, given: Mapping[str, Any], weights: str, host: str, place: str) -> Trained:
    with connect() as client:
        return _run(client, method, given, weights, host, place)


def _run(
    client: TuningClient, method: str, given: Mapping[str, Any], weights: str, host: str, place: str
) -> Trained:
    """The custom job of this step, followed to its end; cancelled where the step is asked to end.

    A step that is tried again takes up the job that it began, as `tuning.tune` does.
    """
    config = {"model": _weights(weights), "max_tokens": 512, **given}
    with Stoppable() as stoppable:
        run = stoppable.of(
            begin_training(client, method, config, place, host=host, display_name=f"rlhf-{method}")
        )
        log.info("%s", run.name)
        for now in run.follow():
            log.info("%s", {key: value for key, value in now.to_json().items() if value not in ("", None)})
    return run.result()


def _weights(name: str) -> str:
    """Where the base weights are."""
    if name.startswith("gs://") or Path(name).is_dir():
        return name
    places = (home() / "weights", Path(vertex_tuning.__file__).parent / "training" / "tiny")
    for place in places:
        if (place / name / "config.json").exists():
            return str(place / name)
    raise PipelineError(
        "VT767",
        f'there are no weights "{name}" here',
        where="weights",
        fix=f"vertex-tuning emulator models pull {name}; or name a folder, or a gs:// folder",
    )


def _fetched() -> Path:
    """The film reviews, fetched where they are not here yet."""
    path = home() / "datasets" / f"{_DATA}.csv"
    if not path.exists():
        command = [sys.executable, "-m", "vertex_tuning", "data", "fetch", _DATA]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            why = done.stderr.strip().splitlines()[-1:] or ["no reason was given"]
            raise PipelineError(
                "VT768",
                f"{catalog.labelled_data(_DATA).title} cannot be fetched: {why[0]}",
                fix=f"vertex-tuning data fetch {_DATA}",
            )
    return path


def _fetch_json(client: TuningClient, uri: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        download_folder(client.connection.storage, uri, path)
        return read_json(str(path))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows of a file as `write_rows` writes them."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """JSONL."""
    write(str(path), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
