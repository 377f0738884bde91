"""What an answer is worth, by one scorer or by several: as the builders and Google's JSON make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vertex_tuning.rewards import matching, placeholders, sandbox, scoring, service
from vertex_tuning.rewards.rating import AutoRater, Rate
from vertex_tuning.rewards.scoring import Score

Json = dict[str, Any]

CODE = "codeExecutionRewardScorer"
CLOUD_RUN = "cloudRunRewardScorer"


@dataclass(frozen=True, slots=True)
class StringMatch:
    """Holds a text, or a member of a JSON object, against an expression."""

    operation: str
    """`EXACT_MATCH`, `PARTIAL_MATCH` (the expression is a part of the text) or `REGEX_CONTAINS`."""
    expression: str
    """May name references: `{{references.answer}}`."""
    key: str | None = None
    """Look at this member of the answer, which is to be a JSON object."""
    correct: float = 1.0
    wrong: float = 0.0

    def score(
        self, example: Mapping[str, Any], _response: Any, parsed: str | None, _rate: Rate | None
    ) -> Score:
        """What a parsed answer is worth. What is not there is wrong, as is what is no JSON object."""
        try:
            expression = placeholders.fill(self.expression, example.get("references") or {})
            target = parsed if self.key is None or parsed is None else matching.member(parsed, self.key)
            right = target is not None and matching.matches(self.operation, expression, target)
        except placeholders.MissingReferenceError as error:
            return scoring.failed("VT920", str(error), parsed=parsed)
        except matching.PatternError as error:
            what = f"with the references in it, {expression!r} is no regular expression: {error}"
            return scoring.failed("VT921", what, parsed=parsed)
        return scoring.clipped(self.correct if right else self.wrong, parsed)

    def to_json(self) -> Json:
        """As `stringMatchRewardScorer`."""
        match: Json = {"matchOperation": self.operation, "expression": self.expression}
        how: Json = {"stringMatchExpression": match}
        if self.key is not None:
            how = {"jsonMatchExpression": {"keyName": self.key, "valueStringMatchExpression": match}}
        return {
            "stringMatchRewardScorer": {
                **how,
                "correctAnswerReward": self.correct,
                "wrongAnswerReward": self.wrong,
            }
        }


@dataclass(frozen=True, slots=True)
class Code:
    """Python that nobody here has read: it runs behind walls, or not at all (`sandbox.py`)."""

    snippet: str
    """Defines `evaluate(example: dict, response: dict) -> float`."""

    def score(
        self, example: Mapping[str, Any], response: Any, parsed: str | None, _rate: Rate | None
    ) -> Score:
        """What the code pays. It is given the response as it is, or the part of it that was extracted."""
        return sandbox.score(self.snippet, dict(example), _turn(response, parsed), parsed)

    def to_json(self) -> Json:
        """As `codeExecutionRewardScorer`."""
        return {CODE: {"pythonCodeSnippet": self.snippet}}


@dataclass(frozen=True, slots=True)
class CloudRun:
    """A service of the user's."""

    uri: str

    def score(
        self, example: Mapping[str, Any], response: Any, parsed: str | None, _rate: Rate | None
    ) -> Score:
        """What the service pays. It is given the response as it is, or the part of it that was extracted."""
        return service.score(self.uri, dict(example), _turn(response, parsed), parsed)

    def to_json(self) -> Json:
        """As `cloudRunRewardScorer`."""
        return {CLOUD_RUN: {"cloudRunUri": self.uri}}


def _turn(response: Any, parsed: str | None) -> Json:
    """What a scorer of the user's gets: the response as it is; where a part of it was extracted, that part."""
    if isinstance(response, str) or parsed != matching.text_of(response):
        return {"role": "model", "parts": [{"text": parsed or ""}]}
    return dict(response)


@dataclass(frozen=True, slots=True)
class Reward:
    """One reward: what of an answer is looked at, and what that is worth."""

    scorer: StringMatch | Code | CloudRun | AutoRater
    name: str = "reward"
    """By it the reward is told apart from others, in metrics too."""
    extract: str | None = None
    """Look at the first group of the last match of this expression (RE2) alone; None: at the whole answer."""

    @property
    def references(self) -> list[str]:
        """Those that it names, and without which there is no reward; of code and services nobody knows."""
        texts = (getattr(self.scorer, name, None) for name in ("expression", "prompt"))
        return sorted({found for text in texts if text for found in placeholders.names(text)})

    def score(self, example: Mapping[str, Any], response: Any, *, rate: Rate | None = None) -> Score:
        """What an answer is worth.

        Args:
            example: A row of the data set: `contents`, `references`...
            response: The answer: a text, or a turn (`{"role": "model", "parts": [...]}`), whose thoughts are passed over.
            rate: How a judge is asked, where the reward has one.
        """
        text = matching.text_of(response)
        parsed = text if self.extract is None else matching.extract(self.extract, text)
        return self.scorer.score(example, response, parsed, rate)

    def to_json(self) -> Json:
        """As `singleRewardConfig`."""
        parse: Json = {"parseType": "IDENTITY"}
        if self.extract is not None:
            parse = {"parseType": "REGEX_EXTRACT", "regexExtractExpression": self.extract}
        return {"rewardName": self.name, "parseResponseConfig": parse, **self.scorer.to_json()}

    def request(self) -> Json:
        """As a request has it."""
        return {"singleRewardConfig": self.to_json()}


@dataclass(frozen=True, slots=True)
class CompositeReward:
    """Several rewards, by their weights: `sum(weight * reward) / sum(weight)`."""

    parts: tuple[tuple[Reward, float], ...] = ()

    @property
    def references(self) -> list[str]:
        """Those that any of them names."""
        return sorted({name for reward, _ in self.parts for name in reward.references})

    def score(self, example: Mapping[str, Any], response: Any, *, rate: Rate | None = None) -> Score:
        """What an answer is worth; `parts` has each reward by itself."""
        return self.weighed([reward.score(example, response, rate=rate) for reward, _ in self.parts])

    def to_json(self) -> Json:
        """As `compositeRewardConfig`."""
        parts = [{"rewardConfig": reward.to_json(), "weight": weight} for reward, weight in self.parts]
        return {"weightedRewardConfigs": parts}

    def request(self) -> Json:
        """As a request has it."""
        return {"compositeRewardConfig": self.to_json()}

    def weighed(self, scores: Sequence[Score]) -> Score:
        """What an answer is worth, from what each reward pays for it, in their order."""
        pairs = zip(self.parts, scores, strict=True)
        return scoring.weighted([(reward.name, score, weight) for (reward, weight), score in pairs])


AnyReward = Reward | CompositeReward
