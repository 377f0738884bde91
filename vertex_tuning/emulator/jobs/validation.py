"""`validateReinforcementTuningReward`: what one answer would earn, by the engine that trains with it."""

from __future__ import annotations

from typing import Any

from vertex_tuning import rewards
from vertex_tuning.emulator.status import ApiError, invalid
from vertex_tuning.errors import RewardError
from vertex_tuning.rewards import CompositeReward, Failure, Score, calling
from vertex_tuning.rewards.rating import Rate

Body = dict[str, Any]

_NEEDED = (("example", "example"), ("sampleResponse", "sample_response"))


def validate(body: Body, rate: Rate) -> Body:
    """Answer a request; `rate` asks a judge. Every scorer is asked once: somebody waits for the answer.

    Raises:
        ApiError: 400 with every fault of the reward, or without an example or an answer.
    """
    missing = [(name, field) for name, field in _NEEDED if name not in body]
    if missing:
        raise invalid(*((field, f"{field} is required.") for _, field in missing), rule="VT901")
    try:
        # What each call would tell, the answer tells: so does Vertex AI, as Google's own tests show.
        reward = rewards.from_json(body, strict=False)
    except RewardError as error:
        raise _refusal(error) from error
    score = reward.score(body["example"], body["sampleResponse"], rate=rate)
    parts = score.parts if isinstance(reward, CompositeReward) else {reward.name: score}
    answer: Body = {
        "errorStatus": _status(score.failure),
        "rewardInfoDetails": {name: _info(part) for name, part in parts.items()},
        # Deprecated, and still what google-genai reads.
        "rewardDetails": {name: part.reward for name, part in parts.items() if not part.failed},
    }
    if score.failure is None:
        answer["overallReward"] = score.reward
    else:
        answer["error"] = score.failure.message
        if score.failure.passing:
            answer["error"] += f" (asked once; a tuning job asks again{calling.in_words(reward)})"
    return answer


def _refusal(error: RewardError) -> ApiError:
    violations = [(fault.where, f"{fault.what}. To fix: {fault.fix}.") for fault in error.faults]
    return invalid(*violations, rule=error.faults[0].rule)


def _info(score: Score) -> Body:
    body: Body = {"errorStatus": _status(score.failure)}
    if score.failure is None:
        body["reward"] = score.reward
    if score.aux:
        body["userRequestedAuxInfo"] = score.aux
    return body


def _status(failure: Failure | None) -> Body:
    return {} if failure is None else {"code": failure.code, "message": f"{failure.rule}: {failure.message}"}
