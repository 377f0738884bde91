"""A reward in one line. What makes no sense is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vertex_tuning.errors import Fault
from vertex_tuning.rewards import config, matching, scoring, snippets
from vertex_tuning.rewards.rating import AutoRater
from vertex_tuning.rewards.scorers import CloudRun, Code, CompositeReward, Reward, StringMatch

Evaluate = Callable[[dict[str, Any], dict[str, Any]], float]
"""A row and a turn of the model, to a number."""


def exact_match(
    expression: str,
    *,
    extract: str | None = None,
    correct: float = 1.0,
    wrong: float = 0.0,
    name: str = "exact_match",
) -> Reward:
    """The answer is this, to the letter.

    Args:
        expression: A text, which may name references: `{{references.answer}}`.
        extract: Look at the first group of the last match of this regular expression (RE2) alone.
        correct: What a right answer is worth, from -1 to 1.
        wrong: What another one is worth.
        name: By which it is told apart from other rewards.

    Raises:
        RewardError: VT9xx, with every fault.
    """
    return _string(matching.EXACT, expression, None, extract, correct, wrong, name)


def contains(
    expression: str,
    *,
    extract: str | None = None,
    correct: float = 1.0,
    wrong: float = 0.0,
    name: str = "contains",
) -> Reward:
    """The answer holds this text. As `exact_match`."""
    return _string(matching.PARTIAL, expression, None, extract, correct, wrong, name)


def regex(
    expression: str,
    *,
    extract: str | None = None,
    correct: float = 1.0,
    wrong: float = 0.0,
    name: str = "regex",
) -> Reward:
    """Somewhere in the answer this regular expression (RE2) matches. References are put in as they are. As `exact_match`."""
    return _string(matching.REGEX, expression, None, extract, correct, wrong, name)


def json_field(
    key: str,
    expression: str,
    *,
    operation: str = matching.EXACT,
    extract: str | None = None,
    correct: float = 1.0,
    wrong: float = 0.0,
    name: str = "json_field",
) -> Reward:
    """The answer is a JSON object, and its member of this name is as it should be.

    Args:
        key: Name of a member of the object itself, not of one that lies in it.
        expression: What its value is held against.
        operation: `EXACT_MATCH`, `PARTIAL_MATCH` or `REGEX_CONTAINS`.
        extract: As for `exact_match`: where the object stands in the answer.
        correct: What a right answer is worth, from -1 to 1.
        wrong: What another one is worth, one that is no JSON too.
        name: By which it is told apart from other rewards.
    """
    return _string(operation, expression, key, extract, correct, wrong, name)


def code(
    source: str | Evaluate,
    *,
    extract: str | None = None,
    name: str = "code",
) -> Reward:
    """What a function of yours pays. It runs behind walls: no network, no files but Python's own, a second process never.

    Args:
        source: A function `(example, response) -> float`, or Python that defines one called `evaluate`. It takes nothing along
            from round it: what it needs it imports and defines itself.
        extract: Give it this part of the answer alone, as for `exact_match`.
        name: By which it is told apart from other rewards.

    Raises:
        RewardError: VT904; VT912, with everything that the code would miss where it is sent to: names from round the function,
            modules that the service does not have...
    """
    faults: list[Fault] = []
    if extract is not None:
        config.check_pattern(extract, "extract", faults)
    if isinstance(source, str):
        snippets.check(source, faults)
        text = source
    elif text := snippets.source_of(source, faults):
        snippets.check(text, faults, source)
    config.refuse(faults)
    return Reward(Code(text), name, extract)


def cloud_run(uri: str = "", *, extract: str | None = None, name: str = "cloud_run") -> Reward:
    """What a service of yours pays: `vertex-tuning reward serve` makes one of any reward.

    Args:
        uri: Its address. Left out: `reward_uri` of the settings. From here only services on this machine are reached.
        extract: Give it this part of the answer alone, as for `exact_match`.
        name: By which it is told apart from other rewards.

    Raises:
        RewardError: VT904, VT913.
    """
    faults: list[Fault] = []
    if extract is not None:
        config.check_pattern(extract, "extract", faults)
    if not uri:
        from vertex_tuning.config import load

        uri = load().reward_uri or ""
    config.check_uri(uri, "uri", faults)
    config.refuse(faults)
    return Reward(CloudRun(uri), name, extract)


def judge(
    prompt: str,
    *,
    model: str,
    extract: str | None = None,
    expect: str | None = None,
    correct: float = 1.0,
    wrong: float = 0.0,
    samples: int = 0,
    temperature: float | None = None,
    name: str = "judge",
) -> Reward:
    """What another model thinks of the answer (an autorater).

    Args:
        prompt: What it is asked, with `{{prompt}}`, `{{response}}`, `{{system_instruction}}` and `{{references.NAME}}`.
        model: Its full name: `projects/P/locations/L/publishers/google/models/M`, or an endpoint.
        extract: Look at the first group of the last match of this in what it says: `<score>(.*?)</score>`.
        expect: What that is to be, to the letter; None: it is the number itself.
        correct: What it is worth where it is as expected.
        wrong: What it is worth where it is not.
        samples: How often it is asked, up to 32; 0: as often as the service does.
        temperature: How varied its answers are.
        name: By which it is told apart from other rewards.

    Raises:
        RewardError: VT9xx, with every fault.
    """
    faults: list[Fault] = []
    if extract is not None:
        config.check_pattern(extract, "extract", faults)
    config.check_prompt(prompt, "prompt", faults)
    config.check_model(model, "model", faults)
    config.check_samples(samples, "samples", faults)
    if expect is not None:
        config.check_match(matching.EXACT, expect, "expect", faults)
        _check_paid(correct, wrong, faults)
    config.refuse(faults)
    generation = () if temperature is None else (("temperature", temperature),)
    paid = (correct, wrong) if expect is not None else (0.0, 0.0)
    return Reward(AutoRater(prompt, model, samples, extract, expect, *paid, generation), name)


def weighted(parts: Sequence[tuple[Reward, float]]) -> CompositeReward:
    """Several rewards, by their weights: `sum(weight * reward) / sum(weight)`.

    Raises:
        RewardError: VT9xx: none, a weight that is none, a name that stands for two.
    """
    faults: list[Fault] = []
    if not parts:
        faults.append(Fault("VT901", "there are no rewards", "parts", fix="[(reward, weight), ...]"))
    for index, part in enumerate[Any](parts):
        if not (isinstance(part, tuple | list) and len(part) == 2 and isinstance(part[0], Reward)):
            what = "it is not a single reward with its weight"
            faults.append(Fault("VT901", what, f"parts[{index}]", fix="(rewards.exact_match(...), 1.0)"))
        elif not isinstance(part[1], int | float) or isinstance(part[1], bool):
            faults.append(
                Fault("VT909", f"{part[1]!r} is no weight", f"parts[{index}]", fix="a number above 0")
            )
        else:
            config.check_weight(part[1], f"parts[{index}]", faults)
    if not faults:
        config.check_names([reward.name for reward, _ in parts], "parts", faults)
    config.refuse(faults)
    return CompositeReward(tuple(parts))


def _string(
    operation: str,
    expression: str,
    key: str | None,
    extract: str | None,
    correct: float,
    wrong: float,
    name: str,
) -> Reward:
    faults: list[Fault] = []
    if extract is not None:
        config.check_pattern(extract, "extract", faults)
    if key == "":
        faults.append(Fault("VT906", "the member's name is missing", "key", fix='"answer"'))
    config.check_match(operation, expression, name, faults)
    _check_paid(correct, wrong, faults)
    config.refuse(faults)
    return Reward(StringMatch(operation, expression, key, correct, wrong), name, extract)


def _check_paid(correct: float, wrong: float, faults: list[Fault]) -> None:
    for what, value in (("correct", correct), ("wrong", wrong)):
        if not scoring.LOWEST <= value <= scoring.HIGHEST:
            why = "Rewards are clipped: it would be worth no more than that."
            faults.append(Fault("VT908", f"{value} is beyond -1 and 1", what, why, "a number from -1 to 1"))
    if correct <= wrong:
        what = f"a right answer ({correct:g}) is worth no more than a wrong one ({wrong:g})"
        faults.append(Fault("VT911", what, "correct", fix="correct above wrong"))
