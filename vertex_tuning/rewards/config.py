"""A reward as Google's JSON has it, read: `singleRewardConfig` or `compositeRewardConfig`; every fault of one at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from vertex_tuning import catalog
from vertex_tuning.errors import Fault, RewardError
from vertex_tuning.rewards import matching, placeholders, rating
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
_SCORERS = ("stringMatchRewardScorer", CODE, CLOUD_RUN, _AUTORATER)


def from_json(config: Mapping[str, Any]) -> AnyReward:
    """Read a reward.

    Args:
        config: What has `singleRewardConfig` or `compositeRewardConfig`, or one of the two itself; in camelCase or snake_case.

    Raises:
        RewardError: VT9xx, with every fault.
    """
    faults: list[Fault] = []
    try:
        reward = _read(_camel_case(config), faults)
    except (AttributeError, TypeError, ValueError) as error:
        fix = "singleRewardConfig and compositeRewardConfig are written as for a tuning job; see docs/rewards.md"
        raise RewardError("VT901", f"not in the form of a reward: {error}", fix=fix) from error
    refuse(faults)
    assert reward is not None
    return reward


def _camel_case(value: Any) -> Any:
    """With all names as Google's JSON has them; its clients also send what Python calls them."""
    if isinstance(value, Mapping):
        return {
            _camel(str(name)): _camel_case(member) for name, member in value.items() if member is not None
        }
    return [_camel_case(item) for item in value] if isinstance(value, list | tuple) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def refuse(faults: list[Fault]) -> None:
    """Raise them, where there are any."""
    if not faults:
        return
    if len(faults) == 1:
        only = faults[0]
        raise RewardError(only.rule, only.what, where=only.where, why=only.why, fix=only.fix)
    raise RewardError("VT900", f"the reward has {len(faults)} faults", faults=faults)


def _read(config: Mapping[str, Any], faults: list[Fault]) -> AnyReward | None:
    single, composite = config.get("singleRewardConfig"), config.get("compositeRewardConfig")
    if single is not None and composite is not None:
        what = "both singleRewardConfig and compositeRewardConfig"
        faults.append(Fault("VT901", what, "reward_config", fix="one of them"))
        return None
    if single is not None:
        return _single(single, "single_reward_config", faults)
    if composite is not None:
        return _composite(composite, "composite_reward_config", faults)
    if "weightedRewardConfigs" in config:
        return _composite(config, "", faults)
    if any(name in config for name in ("rewardName", "parseResponseConfig", *_SCORERS)):
        return _single(config, "", faults)
    faults.append(
        Fault(
            "VT901", "there is no reward", "reward_config", fix="singleRewardConfig or compositeRewardConfig"
        )
    )
    return None


def _single(config: Mapping[str, Any], path: str, faults: list[Fault], name: str = "reward") -> Reward | None:
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
        if not snippet.strip():
            where = _at(path, "code_execution_reward_scorer.python_code_snippet")
            faults.append(
                Fault("VT912", "there is no code", where, fix="def evaluate(example, response): ...")
            )
        scorer = Code(snippet)
    elif given[0] == CLOUD_RUN:
        uri = config[CLOUD_RUN].get("cloudRunUri", "")
        check_uri(uri, _at(path, "cloud_run_reward_scorer.cloud_run_uri"), faults)
        scorer = CloudRun(uri)
    elif given[0] == _AUTORATER:
        where = _at(path, "autorater_scorer.autorater_response_parse_config")
        judged = _pattern(config[_AUTORATER].get("autoraterResponseParseConfig") or {}, where, faults)
        scorer = rating.read(config[_AUTORATER], judged)
        check_samples(scorer.samples, _at(path, "autorater_scorer.autorater_config.sampling_count"), faults)
    else:
        scorer = _string_match(config[given[0]], _at(path, "string_match_reward_scorer"), faults)
    if scorer is None or len(faults) > start:
        return None
    return Reward(scorer, config.get("rewardName") or name, pattern)


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


def check_pattern(pattern: str, where: str, faults: list[Fault]) -> None:
    """Note where a regular expression is none."""
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


def check_samples(samples: int, where: str, faults: list[Fault]) -> None:
    """Note where a judge would be asked too often; 0: as often as the service does."""
    most = catalog.limits("reward_autorater")["max_samples"]
    if not 0 <= samples <= most:
        why = "Each sample is an answer that somebody pays for."
        faults.append(Fault("VT915", f"{samples} samples", where, why, f"1 to {most}"))


def check_uri(uri: str, where: str, faults: list[Fault]) -> None:
    """Note where the address of a service is none."""
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", uri):
        fix = "https://SERVICE-HASH-uc.a.run.app"
        faults.append(Fault("VT913", f'"{uri}" is not the address of a service', where, fix=fix))


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
    key = None
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
    rewards = {}
    for name, field_ in (("correct", "correctAnswerReward"), ("wrong", "wrongAnswerReward")):
        value = float(config.get(field_, 0.0))
        if not math.isfinite(value):
            faults.append(Fault("VT908", f"{value} is no reward", field_, fix="a number from -1 to 1"))
        rewards[name] = value
    return StringMatch(operation, expression, key, **rewards)


def check_match(operation: str, expression: str, path: str, faults: list[Fault]) -> None:
    """Note what is wrong with what an answer is held against."""
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


def _composite(config: Mapping[str, Any], path: str, faults: list[Fault]) -> CompositeReward | None:
    start = len(faults)
    path = _at(path, "weighted_reward_configs")
    parts = []
    for index, item in enumerate(config.get("weightedRewardConfigs") or ()):
        where = f"{path}[{index}]"
        reward = _single(
            item.get("rewardConfig") or {}, f"{where}.reward_config", faults, f"reward_{index + 1}"
        )
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
