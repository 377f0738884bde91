"""What the service reports about a data set, computed from the real one: `tuningDataStats`, by method."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN_EXAMPLES = 3
_SHOWN_DROPPED = 100
_BUCKETS = 10


@dataclass(slots=True)
class Tally:
    """Counts, gathered row by row."""

    input_tokens: list[int] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    characters: int = 0
    dropped: list[tuple[int, str]] = field(default_factory=list)
    """(row from 1, reason)."""
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self, *, input_tokens: int, output_tokens: int, turns: int, characters: int, contents: Any
    ) -> None:
        """A row that is trained on."""
        self.input_tokens.append(input_tokens)
        self.output_tokens.append(output_tokens)
        self.turns.append(turns)
        self.characters += characters
        if len(self.examples) < _SHOWN_EXAMPLES and contents:
            self.examples.extend(contents)

    def prompts_to_json(self, *, steps: int) -> dict[str, Any]:
        """As `DatasetStats`, of the prompts alone: the answers are not the user's."""
        return {
            "tuningDatasetExampleCount": str(len(self.input_tokens) + len(self.dropped)),
            "tuningStepCount": str(steps),
            "userInputTokenDistribution": _plain(distribution(self.input_tokens)),
            "contentsPerExampleDistribution": _plain(distribution([turns - 1 for turns in self.turns])),
            "userDatasetExamples": [one for one in self.examples if one.get("role") == "user"],
            **_dropped(self.dropped, "droppedExampleIndices"),
        }

    def to_json(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """As `SupervisedTuningDataStats`: int64 as strings. Billable is every token of every epoch."""
        billable = (sum(self.input_tokens) + sum(self.output_tokens)) * epochs
        body: dict[str, Any] = {
            "tuningDatasetExampleCount": str(len(self.input_tokens) + len(self.dropped)),
            "totalTuningCharacterCount": str(self.characters),
            "totalBillableTokenCount": str(billable),
            "tuningStepCount": str(steps),
            "userInputTokenDistribution": distribution(self.input_tokens),
            "userOutputTokenDistribution": distribution(self.output_tokens),
            "userMessagePerExampleDistribution": distribution(self.turns),
            "userDatasetExamples": self.examples[: 2 * _SHOWN_EXAMPLES],
            "totalTruncatedExampleCount": str(len(self.dropped)),
        }
        return {**body, **_dropped(self.dropped, "truncatedExampleIndices")}


@dataclass(slots=True)
class PreferenceTally:
    """Counts of preference pairs, gathered row by row."""

    input_tokens: list[int] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    """Of both answers."""
    scores: list[float] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)
    """(row from 1, reason)."""
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any], *, input_tokens: int, output_tokens: int) -> None:
        """A row that is trained on."""
        self.input_tokens.append(input_tokens)
        self.output_tokens.append(output_tokens)
        scores = [float(completion["score"]) for completion in row["completions"]]
        self.scores += scores
        self.variances.append(statistics.pvariance(scores))
        if len(self.examples) < _SHOWN_EXAMPLES:
            self.examples.append({key: row[key] for key in ("contents", "completions")})

    def to_json(self, *, steps: int, epochs: int) -> dict[str, Any]:
        """As `PreferenceOptimizationDataStats`. Billable is the prompt twice and both answers, for every epoch."""
        billable = (2 * sum(self.input_tokens) + sum(self.output_tokens)) * epochs
        return {
            "tuningDatasetExampleCount": str(len(self.input_tokens) + len(self.dropped)),
            "totalBillableTokenCount": str(billable),
            "tuningStepCount": str(steps),
            "userInputTokenDistribution": _plain(distribution(self.input_tokens)),
            "userOutputTokenDistribution": _plain(distribution(self.output_tokens)),
            "scoresDistribution": _plain(distribution(self.scores)),
            "scoreVariancePerExampleDistribution": _plain(distribution(self.variances)),
            "userDatasetExamples": self.examples,
            **_dropped(self.dropped, "droppedExampleIndices"),
        }


@dataclass(slots=True)
class PromptTally:
    """Counts of prompts, gathered row by row."""

    input_tokens: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)
    """(row from 1, reason)."""
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any], *, input_tokens: int, turns: int) -> None:
        """A row that is trained on."""
        self.input_tokens.append(input_tokens)
        self.turns.append(turns)
        if len(self.examples) < _SHOWN_EXAMPLES:
            self.examples.append(
                {key: value for key, value in row.items() if key in ("contents", "references")}
            )

    def to_json(self, *, steps: int) -> dict[str, Any]:
        """As `DatasetStats`. What is billed is what will be generated: nobody knows it yet."""
        return {
            "tuningDatasetExampleCount": str(len(self.input_tokens) + len(self.dropped)),
            "tuningStepCount": str(steps),
            "userInputTokenDistribution": _plain(distribution(self.input_tokens)),
            "contentsPerExampleDistribution": _plain(distribution(self.turns)),
            "reinforcementTuningUserDatasetExamples": {"userDatasetExamples": self.examples},
            **_dropped(self.dropped, "droppedExampleIndices"),
        }


def _dropped(dropped: Sequence[tuple[int, str]], indices: str) -> dict[str, Any]:
    shown = dropped[:_SHOWN_DROPPED]
    if not shown:
        return {}
    return {
        indices: [str(row) for row, _ in shown],
        "droppedExampleReasons": [reason for _, reason in shown],
    }


def _plain(supervised: dict[str, Any]) -> dict[str, Any]:
    """As `DatasetDistribution`: the sum is a number, buckets hold counts, and there is nothing about billing."""
    if not supervised:
        return {}
    found = {name: value for name, value in supervised.items() if name != "billableSum"}
    buckets = [{**bucket, "count": str(int(bucket["count"]))} for bucket in supervised["buckets"]]
    return {**found, "sum": float(found["sum"]), "buckets": buckets}


def distribution(values: Sequence[float]) -> dict[str, Any]:
    """As `SupervisedTuningDatasetDistribution`, with ten buckets of equal width.

    Percentiles are by nearest rank.
    """
    if not values:
        return {}
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    width = (high - low) / _BUCKETS or 1.0
    counts = [0] * _BUCKETS
    for value in ordered:
        counts[min(int((value - low) / width), _BUCKETS - 1)] += 1

    def percentile(share: float) -> float:
        return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)])

    return {
        "sum": str(sum(ordered)),
        "billableSum": str(sum(ordered)),
        "min": float(low),
        "max": float(high),
        "mean": sum(ordered) / len(ordered),
        "median": percentile(0.5),
        "p5": percentile(0.05),
        "p95": percentile(0.95),
        "buckets": [
            {"count": float(count), "left": low + index * width, "right": low + (index + 1) * width}
            for index, count in enumerate(counts)
            if count
        ],
    }
