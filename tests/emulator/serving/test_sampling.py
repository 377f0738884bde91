"""From logits to a token."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from vertex_tuning.emulator.serving.protocol import Sampling
from vertex_tuning.emulator.serving.sampling import penalised, pick

LOGITS = torch.log(torch.tensor([0.1, 0.5, 0.25, 0.15]))


def share(sampling: Sampling, count: int = 2000) -> list[float]:
    """How often each choice is picked, over an even spread of chances."""
    picked = Counter(pick(LOGITS, sampling, (at + 0.5) / count) for at in range(count))
    return [picked[choice] / count for choice in range(len(LOGITS))]


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=0.0)])
def test_greedy_is_the_likeliest(sampling: Sampling) -> None:
    assert share(sampling, 20) == [0, 1, 0, 0]


def test_without_limits_choices_are_as_frequent_as_they_are_probable() -> None:
    assert share(Sampling(top_p=1.0, top_k=0)) == pytest.approx([0.1, 0.5, 0.25, 0.15], abs=2e-3)


def test_top_k_leaves_the_likeliest() -> None:
    assert share(Sampling(top_p=1.0, top_k=2)) == pytest.approx([0, 2 / 3, 1 / 3, 0], abs=2e-3)


def test_top_p_leaves_those_that_together_reach_it() -> None:
    assert share(Sampling(top_p=0.5, top_k=0)) == [0, 1, 0, 0]
    assert share(Sampling(top_p=0.6, top_k=0)) == pytest.approx([0, 2 / 3, 1 / 3, 0], abs=2e-3)


def test_temperature_sharpens_and_flattens_what_is_left() -> None:
    cold, hot = share(Sampling(temperature=0.5, top_p=1.0)), share(Sampling(temperature=2.0, top_p=1.0))
    assert cold[1] > 0.5 > hot[1] > 0.25
    # The limits count at the model's own temperature, as Google has it.
    assert share(Sampling(temperature=2.0, top_p=0.6, top_k=0))[0] == 0


def test_what_is_forbidden_is_never_picked() -> None:
    logits = LOGITS.clone()
    logits[1] = float("-inf")
    for sampling in (Sampling(temperature=0), Sampling(temperature=2.0, top_p=1.0, top_k=0)):
        assert all(pick(logits, sampling, at / 100) != 1 for at in range(100))


def test_penalties_count_presence_and_frequency() -> None:
    said = Counter({1: 3, 2: 1})
    sampling = Sampling(presence_penalty=0.5, frequency_penalty=0.25)
    taken_off = LOGITS - penalised(LOGITS, sampling, said)
    assert taken_off.tolist() == pytest.approx([0, 1.25, 0.75, 0], abs=1e-6)
    assert penalised(LOGITS, Sampling(), said) is LOGITS
