"""A checkpoint answers the validation set, and its answers are measured: what `evaluationConfig` asks for.

In Cloud Storage, below the output folder of the configuration:

    evaluation-JOB/checkpoint-N/evaluation_results.jsonl    a line for each row: the prompt, the answers, what each metric found
    evaluation-JOB/checkpoint-N/aggregation_results.json    how many rows had a score, how many had none, and the aggregates

A judge is asked with the template as it is, and nothing is added to it. What it says is read strictly (`metrics/verdicts.py`); a
sample without a verdict counts as failed, and a row without any verdict has no score.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vertex_tuning import catalog
from vertex_tuning.emulator.jobs import asking, evaluation
from vertex_tuning.emulator.jobs.evaluation import BASELINE, PAIRWISE, PROMPT, REFERENCE, RESPONSE, Metric
from vertex_tuning.emulator.status import ApiError, Code
from vertex_tuning.metrics import aggregate, bleu, matches, rouge, verdicts
from vertex_tuning.rewards.matching import text_of
from vertex_tuning.training import rows
from vertex_tuning.training.chat import Message

if TYPE_CHECKING:
    from vertex_tuning.emulator.app import Emulator
    from vertex_tuning.emulator.jobs.served import ServedModel
    from vertex_tuning.emulator.storage import Storage

_OVERLAPS: dict[str, Callable[..., float]] = {evaluation.BLEU: bleu, evaluation.ROUGE: rouge}
ROWS, AGGREGATES = "evaluation_results.jsonl", "aggregation_results.json"
_SHOWN = 200
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is asked, and who answers."""

    emulator: Emulator
    config: Json
    tuned: ServedModel
    baseline: ServedModel
    """What the job started from."""
    judge: ServedModel

    @property
    def metrics(self) -> list[Metric]:
        """What is measured."""
        return evaluation.metrics(self.config)

    async def run(
        self, validation: Path, journal: Path, told: Callable[[int], None], gone: Collection[int] = ()
    ) -> list[Json]:
        """Let the checkpoint answer every row, and measure it.

        Args:
            validation: JSONL file that was found right.
            journal: Gets what was found, and holds it over a crash.
            told: Hears how many rows are done.
            gone: Numbers of rows that were left out of the file.

        Raises:
            ApiError: Nobody answers.
        """
        done = 0

        def count(_: Json) -> None:
            nonlocal done
            done += 1
            told(done)

        found = await asking.each(validation, journal, self._row, count, gone)
        return [found[number] for number in sorted(found)]

    # One row

    async def _row(self, row: Json) -> Json:
        *chat, answer = rows.messages(row)
        prompt = "\n".join(turn["content"] for turn in chat if turn["role"] != "system")
        values = {**dict.fromkeys(PROMPT, prompt), REFERENCE: answer["content"]}
        said = {"prompt": prompt, REFERENCE: answer["content"]}
        how = {"maxOutputTokens": asking.ANSWER_TOKENS, **self.config.get("inferenceGenerationConfig", {})}
        body = {**_asked(chat), "generationConfig": how}
        try:
            said[RESPONSE] = values[RESPONSE] = await self._ask(self.tuned, body)
            if any(BASELINE in evaluation.names(metric.template) for metric in self.metrics):
                said[BASELINE] = values[BASELINE] = await self._ask(self.baseline, body)
        except ApiError as error:
            _raise_unless_refused(error)
            return {**said, "error": error.message}
        return {
            **said,
            "metrics": {metric.name: await self._measure(metric, values) for metric in self.metrics},
        }

    async def _ask(self, served: ServedModel, body: Json) -> str:
        answer = await asking.ask(self.emulator, served, body)
        return text_of(answer["candidates"][0].get("content", {}))

    async def _measure(self, metric: Metric, values: dict[str, str]) -> Json:
        if metric.kind == evaluation.EXACT_MATCH:
            return {"score": float(matches([values[RESPONSE]], [values[REFERENCE]])[0])}
        if (overlap := _OVERLAPS.get(metric.kind)) is not None:
            both = (values[RESPONSE], values[REFERENCE])
            return {"score": await asyncio.to_thread(overlap, *both, **metric.options)}
        config = self.config.get("autoraterConfig", {})
        samples = int(config.get("samplingCount", 0)) or catalog.limits("reward_autorater")["samples"]
        flips = metric.kind == PAIRWISE and metric.named and config.get("flipEnabled", True)
        said: list[tuple[str, bool]] = []
        for sample in range(samples):
            flipped = flips and sample % 2 == 1
            seen = values
            if flipped:
                seen = {**values, RESPONSE: values[metric.against], metric.against: values[RESPONSE]}
            how = {
                "maxOutputTokens": asking.ANSWER_TOKENS,
                "seed": sample,
                **config.get("generationConfig", {}),
            }
            turn = {"role": "user", "parts": [{"text": evaluation.fill(metric.template, seen)}]}
            body: Json = {"contents": [turn], "generationConfig": how}
            if metric.system:
                body["systemInstruction"] = {"parts": [{"text": metric.system}]}
            try:
                said.append((await self._ask(self.judge, body), flipped))
            except ApiError as error:
                _raise_unless_refused(error)
                return {"samples": samples, "failed": samples, "failure": error.message}
        if metric.raw:
            return {"custom_output": {"raw_outputs": {"raw_output": [text for text, _ in said]}}}
        return _compared(said) if metric.kind == PAIRWISE else _scored(said)


def _asked(chat: list[Message]) -> Json:
    """A chat in GenerateContent form."""
    system = [{"text": turn["content"]} for turn in chat if turn["role"] == "system"]
    roles = {"user": "user", "assistant": "model"}
    contents = [
        {"role": roles[turn["role"]], "parts": [{"text": turn["content"]}]}
        for turn in chat
        if turn["role"] in roles
    ]
    return {"contents": contents, **({"systemInstruction": {"parts": system}} if system else {})}


def _raise_unless_refused(error: ApiError) -> None:
    """A request that is refused is a row's own fault; that nobody answers is not."""
    if error.code is not Code.INVALID_ARGUMENT:
        raise error


def _scored(said: list[tuple[str, bool]]) -> Json:
    scores = [score for text, _ in said if (score := verdicts.score(text)) is not None]
    found: Json = {"score": statistics.fmean(scores)} if scores else {}
    return {**found, **_told([text for text, _ in said], len(scores))}


def _compared(said: list[tuple[str, bool]]) -> Json:
    other = {verdicts.CANDIDATE: verdicts.BASELINE, verdicts.BASELINE: verdicts.CANDIDATE}
    choices = []
    for text, flipped in said:
        if (choice := verdicts.choice(text)) is not None:
            choices.append(other.get(choice, choice) if flipped else choice)
    found: Json = {"pairwise_choice": most} if (most := verdicts.majority(choices)) else {}
    return {**found, **_told([text for text, _ in said], len(choices))}


def _told(texts: list[str], good: int) -> Json:
    """How many samples there were, how many of them were no verdict, and what there is to read of them."""
    found: Json = {"samples": len(texts), "failed": len(texts) - good}
    if reasons := [reason for text in texts if (reason := verdicts.explanation(text))]:
        found["explanation"] = reasons[0]
    if not good:
        found["failure"] = f"no verdict: {texts[0][:_SHOWN]!r}"
    return found


# The whole


def aggregated(metrics: list[Metric], found: list[Json]) -> Json:
    """How many rows each metric has a score of, and the scores as the numbers that were asked for."""
    whole: Json = {}
    for metric in metrics:
        measured = [row["metrics"][metric.name] for row in found if "metrics" in row]
        if metric.raw:
            whole[metric.name] = {"kind": metric.kind, "raw_outputs": len(measured)}
            continue
        key = "pairwise_choice" if metric.kind == PAIRWISE else "score"
        scores = [one[key] for one in measured if key in one]
        numbers: Json = {
            "kind": metric.kind,
            "scored_rows": len(scores),
            "rows_without_score": len(found) - len(scores),
        }
        if any("samples" in one for one in measured):
            numbers["failed_samples"] = sum(one.get("failed", 0) for one in measured)
        if scores and metric.kind == PAIRWISE:
            numbers["choices"] = {name: scores.count(name) for name in sorted({*scores})}
            numbers["MODE"] = verdicts.majority(scores)
        elif scores:
            numbers.update({name: aggregate(name, scores) for name in metric.aggregations})
        whole[metric.name] = numbers
    return whole


_VALUES = {
    "exact_match": "exactMatchMetricValue",
    "bleu": "bleuMetricValue",
    "rouge": "rougeMetricValue",
    "pointwise": "pointwiseMetricResult",
}


def results(metrics: list[Metric], whole: Json) -> list[Json]:
    """The same as `AggregationResult`s, one for each number."""
    found: list[Json] = []
    for metric in metrics:
        numbers = whole[metric.name]
        for name in metric.aggregations:
            if name not in numbers:
                continue
            value: Json = {_VALUES.get(metric.kind, ""): {"score": numbers[name]}}
            if metric.kind == PAIRWISE:
                value = {"pairwiseMetricResult": {"pairwiseChoice": numbers[name]}}
            found.append({"aggregationMetric": name, **value})
    return found


def fault(metrics: list[Metric], whole: Json, found: list[Json]) -> ApiError | None:
    """What an evaluation lacks, where a metric has no score of any row; with an example of why."""
    for metric in metrics:
        if metric.raw or whole[metric.name]["scored_rows"]:
            continue
        why = next((row["error"] for row in found if "error" in row), "")
        for row in found:
            why = row.get("metrics", {}).get(metric.name, {}).get("failure", why)
        text = f"The metric {metric.name} has no score of any of {len(found)} rows: {why}"
        return ApiError(Code.FAILED_PRECONDITION, text, rule="VT684")
    return None


def leave(storage: Storage, folder: str, found: list[Json], summary: Json) -> None:
    """Put what was found where the user reads it."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
    storage.write(f"{folder}/{ROWS}", text.encode(), "application/jsonl")
    whole = json.dumps(summary, ensure_ascii=False, indent=2)
    storage.write(f"{folder}/{AGGREGATES}", f"{whole}\n".encode(), "application/json")
