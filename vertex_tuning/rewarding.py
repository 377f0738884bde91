"""A reward, and models whose answers it is tried on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from vertex_tuning import data, rewards
from vertex_tuning.models import Model
from vertex_tuning.retries import again
from vertex_tuning.rewards import Failure, Score
from vertex_tuning.rewards.rating import Rate

if TYPE_CHECKING:
    from vertex_tuning.connection import Connection

_AT_ONCE = 8


def validate(
    connection: Connection, reward: rewards.AnyReward, example: Mapping[str, Any], response: str
) -> Score:
    """What the service says that one answer would earn; see `TuningClient.validate_reward`."""
    request = reward.request()
    answer = again(
        lambda: connection.genai.tunings.validate_reward(
            parent=f"projects/{connection.project}/locations/{connection.location}",
            sample_response={"role": "model", "parts": [{"text": response}]},
            example={
                name: example[name]
                for name in ("contents", "references", "systemInstruction")
                if name in example
            },
            single_reward_config=request.get("singleRewardConfig"),
            composite_reward_config=request.get("compositeRewardConfig"),
        )
    )
    failure = Failure("", answer.error) if answer.error else None
    infos = answer.reward_info_details or {}
    parts = {
        name: Score(math.nan if info.reward is None else info.reward, aux=info.user_requested_aux_info or "")
        for name, info in infos.items()
    }
    overall = math.nan if failure is not None else answer.overall_reward or 0.0
    if isinstance(reward, rewards.CompositeReward):
        return Score(overall, failure, parts=parts)
    return Score(overall, failure, aux="".join(part.aux for part in parts.values()))


def try_reward(
    reward: rewards.AnyReward,
    dataset: Any,
    model: Model,
    connection: Connection,
    *,
    answers: int,
    rows: int,
    progress: Callable[[int, int], None] | None,
    retry: bool,
    options: Mapping[str, Any],
) -> rewards.Trial:
    """Sample answers, and score them; see `TuningClient.try_reward`."""
    dataset = dataset if data.is_path(dataset) else list(dataset)
    report = data.check(dataset, method="reinforcement").raise_for_faults()
    data.look_for_references(reward.references, dataset, report)
    report.raise_for_faults()
    examples = list(itertools.islice(data.read(dataset), rows))
    done = 0

    def ask(example: Mapping[str, Any]) -> str:
        system = example.get("systemInstruction", example.get("system_instruction"))
        return model.generate(example["contents"], system=system, **options).text

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [[pool.submit(ask, example) for _ in range(answers)] for example in examples]
        said = []
        try:
            for group in asked:
                said.append([future.result() for future in group])
                done += len(group)
                if progress is not None:
                    progress(done, answers * len(examples))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return rewards.try_out(reward, examples, said, rate=rating(connection), retry=retry)


def rating(connection: Connection) -> Rate:
    """How a reward asks models to judge, through a connection."""

    def rate(name: str, prompt: str, times: int, config: dict[str, Any]) -> list[str]:
        judge = Model(connection, name)
        return [judge.generate(prompt, **config).text for _ in range(times)]

    return rate
