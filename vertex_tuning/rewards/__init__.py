"""Rewards for reinforcement tuning: what an answer is worth, between -1 and 1, computed exactly as the service documents it.

    from vertex_tuning import rewards

    reward = rewards.exact_match("{{references.answer}}", extract=r"<answer>(.*?)</answer>")
    reward.score({"contents": [...], "references": {"answer": "4"}}, "2 + 2 is <answer>4</answer>").reward

builders.py      a reward in one line
config.py        a reward as Google's JSON has it, read; every fault of one at once
shape.py         which members such JSON has, and of what kind
scorers.py       one scorer, or several by their weights
scoring.py       what comes out: a number from -1 to 1, or a failure
matching.py      what of an answer is looked at, and what it is held against
placeholders.py  `{{references.answer}}` in an expression
snippets.py      a Python function as code that is sent
sandbox.py       code of the user's, behind the walls of walls.py
service.py       a service of the user's
maps.py          services meant for the cloud, and what stands in for them here
calling.py       many answers: so many calls at a time, and again where that may help
rating.py        the judgement of another model
probes.py        a reward tried out: spread, signal, and what it pays for cheating
graders/         graders of OpenAI's, as rewards

One engine serves the dry run here, `client.validate_reward`, the emulator's `validateReinforcementTuningReward`, and training.

Source: Google Cloud documentation, "Reward functions", Gemini Enterprise Agent Platform (2026-09-25); what it leaves open is said
in docs/rewards.md.
"""

from typing import TYPE_CHECKING, Any

from vertex_tuning.rewards.builders import (
    cloud_run,
    code,
    contains,
    exact_match,
    json_field,
    judge,
    regex,
    weighted,
)
from vertex_tuning.rewards.config import from_json
from vertex_tuning.rewards.probes import Trial, try_out
from vertex_tuning.rewards.scorers import AnyReward, CompositeReward, Reward
from vertex_tuning.rewards.scoring import Failure, Score

if TYPE_CHECKING:
    from vertex_tuning.rewards.graders import from_openai

__all__ = [
    "AnyReward",
    "CompositeReward",
    "Failure",
    "Reward",
    "Score",
    "Trial",
    "cloud_run",
    "code",
    "contains",
    "exact_match",
    "from_json",
    "from_openai",
    "json_field",
    "judge",
    "regex",
    "try_out",
    "weighted",
]


def __getattr__(name: str) -> Any:
    if name != "from_openai":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vertex_tuning.rewards.graders import from_openai  # few have graders

    return from_openai
