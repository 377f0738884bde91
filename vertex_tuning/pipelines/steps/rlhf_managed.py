"""Reinforcement by the tuning service, which calls the reward model as a Cloud Run scorer.

The service has no setting for the distance from the model that it began with, and does not tell it; and it cannot be stopped by
a measure that it does not know. So its checkpoints are looked at when the job has ended, in their order, until the reward is seen
to be hacked, and the best one by the independent measure goes on.
"""

from __future__ import annotations

import contextlib
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vertex_tuning import ReinforcementTuning, SupervisedTuning, connect, metrics, rewards
from vertex_tuning.data.folders import download_folder
from vertex_tuning.errors import PipelineError
from vertex_tuning.evaluation.asking import System, answers
from vertex_tuning.metrics import Look
from vertex_tuning.models import Checkpoint
from vertex_tuning.pipelines import simulated
from vertex_tuning.pipelines.steps import rlhf
from vertex_tuning.pipelines.steps._step import step, write_json
from vertex_tuning.pipelines.steps.tuning import job_of_step
from vertex_tuning.rewards.calling import Calls

if TYPE_CHECKING:
    from vertex_tuning.client import TuningClient
    from vertex_tuning.models import Model

log = logging.getLogger(__name__)

Row = dict[str, Any]
_SAMPLED = 2
"""Answers to each test prompt."""


class Tried(NamedTuple):
    """What reinforcement came to."""

    model: str
    """The tuned model's name."""
    checkpoint: str
    """The best one by the independent measure; empty: none was better than the model before."""
    hacked: bool


@step
def tune_by_example(
    sets: str,
    *,
    base_model: str,
    place: str,
    epochs: int,
    adapter_size: int,
    model: str,
    about: dict[str, Any],
) -> str:
    """Learn the task from demonstrations; the name of the tuned model.

    Args:
        sets: What `rlhf.prepare` wrote.
        base_model: A model of the catalog that takes both examples and rewards.
        place: URI of an output of this step.
        epochs: Passes over the demonstrations.
        adapter_size: Rank of the adapter.
        model: Where a file that names the model is put.
        about: Metadata of that artifact, filled here.
    """
    with connect() as client:
        job = job_of_step(
            client,
            SupervisedTuning,
            place,
            base_model=base_model,
            training=str(Path(sets) / rlhf.DEMONSTRATIONS),
            epochs=epochs,
            adapter_size=adapter_size,
            last_checkpoint_only=True,
            display_name="rlhf by example",
        )
        tuned = job.result()
    about |= {"resourceName": tuned.name, "baseModel": base_model}
    write_json(model, about)
    return tuned.name


@step
def prefer(sets: str, *, model: str, preferences: str, max_output_tokens: int, seed: int) -> rlhf.Preferred:
    """Pairs that people ranked; or two answers of the tuned model to each question, ranked by the rule that stands for people.

    Args:
        sets: What `rlhf.prepare` wrote.
        model: Name of the tuned model.
        preferences: Folder that gets the pairs, a sixth of them held out.
        max_output_tokens: Of an answer.
        seed: Of the sampling.
    """
    if (found := rlhf.people_ranked(sets, preferences)) is not None:
        return found
    rows = rlhf.rows_of(Path(sets) / rlhf.QUESTIONS)
    with connect() as client:
        asked = client.models.get(model)
        both = [
            _said(asked, rows, max_output_tokens, temperature=1.0, seed=seed * 2 + number)
            for number in range(2)
        ]
    return rlhf.by_the_rule(rows, list(zip(*both, strict=True)), preferences)


@step
def reinforce(
    sets: str,
    *,
    model: str,
    judge: str,
    reward_uri: str,
    place: str,
    before: str,
    after: str,
    history: str,
    figures: dict[str, Any],
    epochs: int,
    batch_size: int,
    samples_per_prompt: int,
    max_output_tokens: int,
    learning_rate_multiplier: float,
    seed: int,
) -> Tried:
    """Let the service try answers that the reward model pays, look at its checkpoints, and let the best one answer.

    Args:
        sets: What `rlhf.prepare` wrote.
        model: Name of the model to begin with.
        judge: `gs://` folder of the reward model.
        reward_uri: Where it is served, for the tuning service and for this step; empty: by this step, on this machine, which a
            tuning service on this machine alone can reach.
        place: URI of an output of this step.
        before: Where the answers of that model to the test prompts are put, as JSONL.
        after: Where those of the best checkpoint are put.
        history: Where what was seen on the way is put, as JSON.
        figures: Metadata of that artifact, filled here.
        epochs: Passes over the prompts.
        batch_size: Prompts in a step.
        samples_per_prompt: Answers to each.
        max_output_tokens: Of an answer.
        learning_rate_multiplier: Factor on the recommended learning rate.
        seed: Of the answers that are looked at.
    """
    folder = Path(sets)
    held_out, test = rlhf.rows_of(folder / rlhf.HELD_OUT), rlhf.rows_of(folder / rlhf.TEST)
    with connect() as client, _served(client, judge, reward_uri) as address:
        reward = rewards.cloud_run(address, name="preferred")
        job = job_of_step(
            client,
            ReinforcementTuning,
            place,
            base_model=model,
            training=str(folder / rlhf.PROMPTS),
            validation=str(folder / rlhf.HELD_OUT),
            reward=reward,
            epochs=epochs,
            batch_size=batch_size,
            samples_per_prompt=samples_per_prompt,
            max_output_tokens=max_output_tokens,
            learning_rate_multiplier=learning_rate_multiplier,
            display_name="rlhf",
        )
        tuned = job.result()
        first = client.models.get(model)
        checkpoints = tuned.checkpoints()
        models: list[Model] = [first, *checkpoints] if checkpoints else [first, tuned]
        steps = [0, *(one.step for one in checkpoints)] if checkpoints else [0, 1]
        looks, verdict = [], None
        for step_, one in zip(steps, models, strict=True):
            said = _said(one, held_out, max_output_tokens, temperature=1.0, seed=seed)
            looks.append(_look(step_, held_out, said, reward))
            if len(looks) > 1:
                verdict = metrics.hacking(looks)
                if verdict.hacked:
                    break
        best = metrics.best(looks)
        kept = models[steps.index(best.step)]
        for path, one in ((before, first), (after, kept)):
            sampled = [
                _scored(
                    test, _said(one, test, max_output_tokens, temperature=1.0, seed=seed + number), reward
                )
                for number in range(_SAMPLED)
            ]
            likeliest = _scored(test, _said(one, test, max_output_tokens, temperature=0.0, seed=seed), reward)
            rlhf.write_answers(path, list(zip(*sampled, strict=True)), likeliest)
        checkpoint = kept.checkpoint_id if isinstance(kept, Checkpoint) else ""
    hacked = verdict is not None and verdict.hacked
    found = {
        "looks": [_told(look) for look in looks],
        "kl": [],
        "kept_step": best.step,
        "kept_kl": None,
        "steps": steps[-1],
        "planned": steps[-1],
        "hacked": hacked,
        "reasons": list(verdict.reasons) if verdict else [],
    }
    write_json(history, found)
    figures |= {"steps": steps[-1], "kept_step": best.step, "hacked": float(hacked)}
    return Tried(tuned.name, checkpoint, hacked)


@contextlib.contextmanager
def _served(client: TuningClient, judge: str, uri: str) -> Iterator[str]:
    """Where the reward model is asked; by a process of ours where nobody serves it."""
    if uri:
        yield uri
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "reward-model"
        download_folder(client.connection.storage, judge, target)
        command = [sys.executable, "-m", "vertex_tuning", "reward", "serve", "--json", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--reward-model", str(target)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise PipelineError("VT765", f"the reward model of {judge} cannot be served", where="judge")
            yield json.loads(line)["address"]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _said(model: Model, rows: Sequence[Row], most: int, *, temperature: float, seed: int) -> list[str]:
    """One answer to each row; the same seed asks the same."""
    asked = System.of_model(model, temperature=temperature, max_output_tokens=most, seed=seed)
    return [said.text for said in answers(asked, rows)]


def _worth(rows: Sequence[Row], said: Sequence[str], reward: rewards.Reward) -> list[float]:
    with Calls(reward) as calls:
        return [score.reward for score, _ in calls.score(list(zip(rows, said, strict=True)))]


def _measured(row: Row, answer: str) -> float:
    return metrics.token_f1(answer, row["references"][simulated.REFERENCE])


def _look(step_: int, rows: Sequence[Row], said: Sequence[str], reward: rewards.Reward) -> Look:
    return Look(
        step=step_,
        reward=_worth(rows, said, reward),
        measure=[_measured(row, answer) for row, answer in zip(rows, said, strict=True)],
        length=[float(len(answer.split())) for answer in said],
        repetition=[metrics.repetition(answer) for answer in said],
    )


def _told(look: Look) -> dict[str, float]:
    return {
        "step": look.step,
        "reward": look.mean_reward,
        "measure": look.mean_measure,
        "length": statistics.fmean(look.length),
        "repetition": statistics.fmean(look.repetition),
    }


def _scored(rows: Sequence[Row], said: Sequence[str], reward: rewards.Reward) -> list[dict[str, Any]]:
    """Answers, as `answering` writes them."""
    return [
        {
            "text": answer,
            "reward": value,
            "measure": _measured(row, answer),
            "length": len(answer.split()),
            "repetition": metrics.repetition(answer),
        }
        for row, answer, value in zip(rows, said, _worth(rows, said, reward), strict=True)
    ]
