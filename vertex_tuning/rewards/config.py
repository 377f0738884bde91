"""A reward as Google's JSON has it, read: `singleRewardConfig` or `compositeRewardConfig`; every fault of one at once.

Its shape comes first (`shape.py`): what is misspelt, or of another kind, is told before anybody asks what it means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, RewardError
from vertex_tuning.rewards import matching, placeholders, rating, shape, snippets
from vertex_tuning.rewards.rating import AutoRater
from vertex_tuning.rewards.scorers import (
    CLOUD_RUN,
    CODE,
    AnyReward,
    CloudRun,
    Code,
    CompositeReward,
    Reward,
    StringMatch,
)

_AUTORATER = "autoraterScorer"
_URI = re.compile(r"https?://[^/\s]+(/\S*)?")
_NAME = re.compile(r"\{\{[\w.\s-]+\}\}")
_SCORERS = ("stringMatchRewardScorer", CODE, CLOUD_RUN, _AUTORATER)


Strict = bool | Literal["here"]


def from_json(config: Mapping[str, Any], *, strict: Strict = True) -> AnyReward:
    """Read a reward.

    Args:
        config: What has `singleRewardConfig` or `compositeRewardConfig`, or one of the two itself; in camelCase or snake_case.
        strict: Refuse, too, what would fail call by call: code that does not run where it is sent, a judge by a short name.
            Without it each call tells that. `here`: it is run on this machine, and code may import what is installed.

    Raises:
        RewardError: VT9xx, with every fault.
    """
    faults: list[Fault] = []
    reward = _read(config, faults, strict)
    refuse(faults)
    assert reward is not None
    return reward


def refuse(faults: list[Fault]) -> None:
    """Raise them, where there are any."""
    if not faults:
        return
    if len(faults) == 1:
        only = faults[0]
        raise RewardError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    raise RewardError("VT900", f"the reward has {len(faults)} faults", faults=faults)


def _read(config: Any, faults: list[Fault], strict: Strict) -> AnyReward | None:
    given = shape.members(config) if isinstance(config, Mapping) else {}
    single, composite = given.get("singleRewardConfig"), given.get("compositeRewardConfig")
    if single is not None and composite is not None:
        what = "both singleRewardConfig and compositeRewardConfig"
        faults.append(Fault("VT901", what, "reward_config", fix="one of them"))
        return None
    # What stands round it is somebody else's: a request, or nothing.
    bare = single is None and composite is None
    if composite is not None or (bare and "weightedRewardConfigs" in given):
        path = "" if bare else "composite_reward_config"
        config = shape.read(config if bare else composite, shape.COMPOSITE, path, faults)
        return None if faults else _composite(config, path, faults, strict)
    if single is not None or (bare and given.keys() & shape.SINGLE.keys()):
        path = "" if bare else "single_reward_config"
        config = shape.read(config if bare else single, shape.SINGLE, path, faults)
        return None if faults else _single(config, path, faults, strict)
    fix = "singleRewardConfig or compositeRewardConfig"
    faults.append(Fault("VT901", "there is no reward", "reward_config", fix=fix))
    return None


def _single(
    config: Mapping[str, Any], path: str, faults: list[Fault], strict: Strict, name: str = "reward"
) -> Reward | None:
    start = len(faults)
    pattern = _pattern(config.get("parseResponseConfig") or {}, _at(path, "parse_response_config"), faults)
    given = [kind for kind in _SCORERS if config.get(kind) is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)}: a reward has one scorer" if given else "the reward has no scorer"
        faults.append(Fault("VT902", what, _at(path, "reward_scorer"), fix=f"one of: {', '.join(_SCORERS)}"))
        return None
    scorer: StringMatch | Code | CloudRun | AutoRater | None
    if given[0] == CODE:
        snippet = config[CODE].get("pythonCodeSnippet", "")
        where = _at(path, "code_execution_reward_scorer.python_code_snippet")
        if not snippet.strip():
            faults.append(
                Fault("VT912", "there is no code", where, fix="def evaluate(example, response): ...")
            )
        elif strict:
            found: list[Fault] = []
            snippets.check(snippet, found, here=strict == "here")
            faults += [Fault(one.rule, f"{one.what} ({one.where})", where, one.why, one.fix) for one in found]
        scorer = Code(snippet)
    elif given[0] == CLOUD_RUN:
        uri = config[CLOUD_RUN].get("cloudRunUri", "")
        check_uri(uri, _at(path, "cloud_run_reward_scorer.cloud_run_uri"), faults)
        scorer = CloudRun(uri)
    elif given[0] == _AUTORATER:
        scorer = _autorater(config[_AUTORATER], _at(path, "autorater_scorer"), faults, strict)
    else:
        scorer = _string_match(config[given[0]], _at(path, "string_match_reward_scorer"), faults)
    if scorer is None or len(faults) > start:
        return None
    return Reward(scorer, config.get("rewardName") or name, pattern)


def _autorater(config: Mapping[str, Any], path: str, faults: list[Fault], strict: Strict) -> AutoRater:
    where = f"{path}.autorater_response_parse_config"
    judged = _pattern(config.get("autoraterResponseParseConfig") or {}, where, faults)
    scorer = rating.read(config, judged)
    if strict:
        check_prompt(scorer.prompt, f"{path}.autorater_prompt", faults)
        check_model(scorer.model, f"{path}.autorater_config.autorater_model", faults)
    check_samples(scorer.samples, f"{path}.autorater_config.sampling_count", faults)
    if strict and scorer.expression is not None:
        where = f"{path}.exact_match_scorer"
        check_match(matching.EXACT, scorer.expression, where, faults)
        _check_paid(scorer.correct, scorer.wrong, where, faults)
    return scorer


def _pattern(config: Mapping[str, Any], path: str, faults: list[Fault]) -> str | None:
    kind = config.get("parseType", "IDENTITY")
    pattern = config.get("regexExtractExpression", "")
    if kind in ("IDENTITY", "RESPONSE_PARSE_TYPE_UNSPECIFIED"):
        if pattern:
            fix = "parseType: REGEX_EXTRACT, or no regexExtractExpression"
            what = "the expression is not used: the whole response is"
            faults.append(Fault("VT903", what, f"{path}.regex_extract_expression", fix=fix))
        return None
    if kind != "REGEX_EXTRACT":
        fix = "IDENTITY or REGEX_EXTRACT"
        faults.append(
            Fault("VT903", f"{kind!r} is no way to parse a response", f"{path}.parse_type", fix=fix)
        )
        return None
    check_pattern(pattern, f"{path}.regex_extract_expression", faults)
    return str(pattern)


def check_pattern(pattern: Any, where: str, faults: list[Fault]) -> None:
    """Note where a regular expression is none."""
    if not isinstance(pattern, str):
        fix = r"a text: <answer>(.*?)</answer>"
        faults.append(Fault("VT904", f"{pattern!r} is not a text", where, fix=fix))
        return
    if not pattern:
        faults.append(Fault("VT904", "the expression is empty", where, fix=r"<answer>(.*?)</answer>"))
        return
    try:
        matching.compiled(pattern)
    except matching.PatternError as error:
        why = "Expressions are RE2's: no look-around, no back-references."
        faults.append(
            Fault("VT904", f"{pattern!r}: {error}", where, why, "https://github.com/google/re2/wiki/Syntax")
        )


def check_prompt(prompt: str, where: str, faults: list[Fault]) -> None:
    """Note where a judge would not see the answer, or would read a placeholder as it is written."""
    if "{{response}}" not in prompt:
        fix = "{{response}} where the answer goes"
        faults.append(Fault("VT915", "the judge would not see the answer", where, fix=fix))
    given = [f"{{{{{name}}}}}" for name in rating.GIVEN]
    for found in placeholders.strange(prompt):
        if found not in given and _NAME.fullmatch(found):  # what else is in braces may be an example of JSON
            why = "It is not replaced: the judge would read these very characters."
            fix = f"{', '.join(given)} or {{{{references.NAME}}}}, without spaces"
            faults.append(Fault("VT907", f"{found} is no placeholder", where, why, fix))


def check_model(model: str, where: str, faults: list[Fault]) -> None:
    """Note where a judge is not named in full."""
    if not rating.MODEL.fullmatch(model):
        what = f'"{model}" is not a full name'
        why = "A short name fails on Vertex AI, call by call, in words that say nothing."
        fix = "projects/P/locations/L/publishers/google/models/M, or .../endpoints/E"
        faults.append(Fault("VT915", what, where, why, fix))


def check_samples(samples: int, where: str, faults: list[Fault]) -> None:
    """Note where a judge would be asked too often; 0: as often as the service does."""
    most = catalog.limits("reward_autorater")["max_samples"]
    if not 0 <= samples <= most:
        why = "Each sample is an answer that somebody pays for."
        faults.append(Fault("VT915", f"{samples} samples", where, why, f"1 to {most}"))


def check_uri(uri: Any, where: str, faults: list[Fault]) -> None:
    """Note where the address of a service is none."""
    if not (isinstance(uri, str) and uri.isascii() and _URI.fullmatch(uri) and _has_port(uri)):
        fix = "https://SERVICE-HASH-uc.a.run.app"
        faults.append(Fault("VT913", f'"{uri}" is not the address of a service', where, fix=fix))


def _has_port(uri: str) -> bool:
    """Whether its port, where it names one, may be one."""
    try:
        return urlsplit(uri).port != 0
    except ValueError:
        return False


def _string_match(config: Mapping[str, Any], path: str, faults: list[Fault]) -> StringMatch | None:
    plain, of_json = config.get("stringMatchExpression"), config.get("jsonMatchExpression")
    if (plain is None) == (of_json is None):
        what = (
            "both a string and a JSON expression"
            if plain is not None
            else "there is nothing to hold it against"
        )
        fix = "stringMatchExpression or jsonMatchExpression"
        faults.append(Fault("VT905", what, f"{path}.match_expression", fix=fix))
        return None
    key, scorer = None, path
    if of_json is not None:
        path = f"{path}.json_match_expression"
        key = of_json.get("keyName", "")
        if not key:
            faults.append(Fault("VT906", "the member's name is missing", f"{path}.key_name", fix='"answer"'))
        plain, path = of_json.get("valueStringMatchExpression") or {}, f"{path}.value_string_match_expression"
    else:
        path = f"{path}.string_match_expression"
    assert plain is not None
    operation, expression = plain.get("matchOperation", ""), plain.get("expression", "")
    check_match(operation, expression, path, faults)
    correct, wrong = (float(config.get(name, 0.0)) for name in ("correctAnswerReward", "wrongAnswerReward"))
    _check_paid(correct, wrong, scorer, faults)
    return StringMatch(operation, expression, key, correct, wrong)


def _check_paid(correct: float, wrong: float, path: str, faults: list[Fault]) -> None:
    for value, name in ((correct, "correct_answer_reward"), (wrong, "wrong_answer_reward")):
        if not math.isfinite(value):
            fix = "a number from -1 to 1"
            faults.append(Fault("VT908", f"{value} is no reward", f"{path}.{name}", fix=fix))


def check_match(operation: Any, expression: Any, path: str, faults: list[Fault]) -> None:
    """Note what is wrong with what an answer is held against."""
    if not isinstance(expression, str):
        fix = "a text: {{references.answer}}"
        faults.append(Fault("VT905", f"{expression!r} is not a text", f"{path}.expression", fix=fix))
        return
    if operation not in matching.OPERATIONS:
        what = f"{operation or 'MATCH_OPERATION_UNSPECIFIED'} is no operation"
        fix = " or ".join(matching.OPERATIONS)
        faults.append(Fault("VT905", what, f"{path}.match_operation", fix=fix))
    if not expression:
        fix = "{{references.answer}}, or a text"
        faults.append(Fault("VT905", "the expression is empty", f"{path}.expression", fix=fix))
    for found in placeholders.strange(expression):
        why = "It is not replaced: the answer would have to hold these very characters."
        fix = "{{references.NAME}}, without spaces"
        faults.append(Fault("VT907", f"{found} is no placeholder", f"{path}.expression", why, fix))
    if operation == matching.REGEX and expression:
        # What stands in for a reference is a letter: the expression round it must make sense by itself.
        named = set(placeholders.names(expression))
        check_pattern(placeholders.fill(expression, dict.fromkeys(named, "x")), f"{path}.expression", faults)


def _composite(
    config: Mapping[str, Any], path: str, faults: list[Fault], strict: Strict
) -> CompositeReward | None:
    start = len(faults)
    path = _at(path, "weighted_reward_configs")
    parts = []
    for index, item in enumerate(config.get("weightedRewardConfigs") or ()):
        where = f"{path}[{index}]"
        part, name = item.get("rewardConfig") or {}, f"reward_{index + 1}"
        reward = _single(part, f"{where}.reward_config", faults, strict, name)
        weight = float(item.get("weight", 0.0))
        check_weight(weight, f"{where}.weight", faults)
        parts.append((reward, weight))
    if not parts:
        fix = "at least one reward and its weight"
        faults.append(Fault("VT901", "there are no rewards", path, fix=fix))
    found = tuple((reward, weight) for reward, weight in parts if reward is not None)
    check_names([reward.name for reward, _ in found], path, faults)
    return None if len(faults) > start else CompositeReward(found)


def check_weight(weight: float, where: str, faults: list[Fault]) -> None:
    """Note where a weight is none."""
    if not (math.isfinite(weight) and weight > 0):
        why = "The rewards are averaged by their weights."
        faults.append(Fault("VT909", f"{weight:g} is no weight", where, why, "a number above 0"))


def check_names(names: list[str], where: str, faults: list[Fault]) -> None:
    """Note names that stand for two rewards."""
    for name in sorted({name for name in names if names.count(name) > 1}):
        why = "By its name a reward is told apart in metrics."
        faults.append(Fault("VT910", f'several rewards are called "{name}"', where, why, "a name for each"))


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
