"""Rewards by another model's judgement: `autoraterScorer`.

The model is asked several times; each of its answers is parsed, and is either a number itself or held against an expression. The
reward is the mean of those that made sense.

Source: Google Cloud documentation, "Reward functions" (2026-09-25). How several samples become one reward it does not say.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.rewards import matching, placeholders, scoring
from vertex_tuning.rewards.scoring import Score

Json = dict[str, Any]
Rate = Callable[[str, str, int, Json], list[str]]
"""Asks a model: its name, the prompt, how often, and a `generationConfig`. May raise what it likes."""

MODEL = re.compile(r"projects/[^/]+/locations/[^/]+/(publishers/[^/]+/models/[^/]+|endpoints/[^/]+)")
"""The full name of who may judge."""
GIVEN = ("prompt", "response", "system_instruction")
"""What a judge's prompt may have put in, beside references."""
_PLACEHOLDER = re.compile(r"\{\{(prompt|response|system_instruction|references\.[^{}]+)\}\}")


@dataclass(frozen=True, slots=True)
class AutoRater:
    """A model that judges answers."""

    prompt: str
    """With `{{prompt}}`, `{{response}}`, `{{system_instruction}}` and `{{references.NAME}}`."""
    model: str
    """Full name: `projects/.../publishers/google/models/...`, or an endpoint."""
    samples: int = 0
    """How often it is asked; 0: as often as the service does."""
    extract: str | None = None
    """Look at the first group of the last match of this in its answer alone."""
    expression: str | None = None
    """What its parsed answer is to be, to the letter; None: it is the number itself."""
    correct: float = 0.0
    wrong: float = 0.0
    generation: tuple[tuple[str, Any], ...] = ()
    """`generationConfig`, as pairs."""
    flip: bool | None = None
    """`flipEnabled`, which has a meaning where two answers are compared: handed on as it is."""

    def score(
        self, example: Mapping[str, Any], response: Any, parsed: str | None, rate: Rate | None
    ) -> Score:
        """What the judge pays."""
        del response
        if not self.prompt:
            return scoring.failed("VT915", "the autorater has no prompt", parsed=parsed)
        if not MODEL.fullmatch(self.model):
            what = f'"{self.model}" is not a full name: projects/P/locations/L/publishers/google/models/M, or .../endpoints/E'
            return scoring.failed("VT915", what, parsed=parsed)
        if rate is None:
            what = "an autorater is asked through a connection: client.validate_reward, or client.try_reward"
            return scoring.failed("VT923", what, scoring.UNIMPLEMENTED, parsed)
        try:
            asked = self.asked(example, parsed)
            expected = None
            if self.expression is not None:
                expected = placeholders.fill(self.expression, example.get("references") or {})
        except placeholders.MissingReferenceError as error:
            return scoring.failed("VT920", str(error), parsed=parsed)
        try:
            said = rate(
                self.model,
                asked,
                self.samples or catalog.limits("reward_autorater")["samples"],
                dict(self.generation),
            )
        except Exception as error:  # whoever is asked may fail in ways of its own
            what = f"the autorater gave no answer: {error or type(error).__name__}"
            return scoring.failed("VT916", what, parsed=parsed, passing=_passes(error))
        return self._paid(said, expected, parsed)

    def asked(self, example: Mapping[str, Any], parsed: str | None) -> str:
        """The prompt for the judge, with everything in it.

        Raises:
            MissingReferenceError: The example does not have a reference that it names.
        """
        system = example.get("systemInstruction") or example.get("system_instruction") or {}
        texts = {
            "prompt": "\n".join(matching.text_of(turn) for turn in example.get("contents") or ()),
            "response": parsed or "",
            "system_instruction": matching.text_of(system),
        }

        def value(found: re.Match[str]) -> str:
            name = found[1]
            if name in texts:
                return texts[name]
            return placeholders.fill(found[0], example.get("references") or {})

        return _PLACEHOLDER.sub(value, self.prompt)

    def _paid(self, said: list[str], expected: str | None, parsed: str | None) -> Score:
        paid, why = [], "it said nothing"
        for text in said:
            found = text if self.extract is None else matching.extract(self.extract, text)
            if expected is not None:
                value = self.correct if found is not None and found == expected else self.wrong
            else:
                try:
                    value = float(found or "")
                except ValueError:
                    why = f"{text[:200]!r} is no number"
                    continue
            score = scoring.clipped(value, parsed)
            if score.failure is None:
                paid.append(score.reward)
            else:
                why = score.failure.message
        if not paid:
            return scoring.failed(
                "VT916", f"nothing that the autorater said is a reward: {why}", parsed=parsed
            )
        return scoring.clipped(statistics.fmean(paid), parsed)

    def to_json(self) -> Json:
        """As `autoraterScorer`."""
        parse: Json = {"parseType": "IDENTITY"}
        if self.extract is not None:
            parse = {"parseType": "REGEX_EXTRACT", "regexExtractExpression": self.extract}
        how: Json = {"autoraterModel": self.model}
        if self.samples:
            how["samplingCount"] = self.samples
        if self.generation:
            how["generationConfig"] = dict(self.generation)
        if self.flip is not None:
            how["flipEnabled"] = self.flip
        scorer: Json = {"parsedResponseConversionScorer": {}}
        if self.expression is not None:
            match = {"expression": self.expression, "correctAnswerReward": self.correct}
            scorer = {"exactMatchScorer": {**match, "wrongAnswerReward": self.wrong}}
        return {
            "autoraterScorer": {
                "autoraterConfig": how,
                "autoraterPrompt": self.prompt,
                "autoraterResponseParseConfig": parse,
                **scorer,
            }
        }


def _passes(error: Exception) -> bool:
    """Whether who is asked may answer later: the line broke, it took too long, or it said so by a status."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    reason = getattr(error, "reason", None)  # of urllib's errors
    if isinstance(reason, Exception):
        return _passes(reason)
    code = getattr(error, "code", None)
    return code in catalog.limits("reward_autorater")["retry_statuses"]


def read(config: Mapping[str, Any], extract: str | None) -> AutoRater:
    """From an `autoraterScorer` whose expression for parsing was checked."""
    how = config.get("autoraterConfig") or {}
    match = config.get("exactMatchScorer")
    return AutoRater(
        prompt=config.get("autoraterPrompt", ""),
        model=how.get("autoraterModel", ""),
        samples=int(how.get("samplingCount", 0)),
        extract=extract,
        expression=None if match is None else match.get("expression", ""),
        correct=float((match or {}).get("correctAnswerReward", 0.0)),
        wrong=float((match or {}).get("wrongAnswerReward", 0.0)),
        generation=tuple((how.get("generationConfig") or {}).items()),
        flip=how.get("flipEnabled"),
    )
