"""What prompts share is computed once, and changes no answer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vertex_tuning.emulator.serving.prefixes import MIN_SHARED, Prefixes, shared

EXAMPLES = "".join(
    f"Review: the {w} was dull. Answer: negative. " for w in ("lamp", "boat", "bird", "garden")
)
QUESTIONS = [f"Review: I loved the {word}. Answer:" for word in ("film", "music", "story", "sea", "train")]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_shared_beginning_of_two_sequences(a: list[int], b: list[int]) -> None:
    count = shared(a, b)
    assert a[:count] == b[:count]
    assert count == min(len(a), len(b)) or a[count] != b[count]


def kept(tokens: list[int]) -> list[torch.Tensor]:
    return [torch.tensor(tokens, dtype=torch.float32)[None, :, None]]


def test_the_longest_known_beginning_is_found() -> None:
    prefixes = Prefixes()
    common = list(range(MIN_SHARED))
    prefixes.keep(None, [*common, 1, 2], kept([*common, 1, 2]))
    prefixes.keep(None, [*common, 3, 4, 5], kept([*common, 3, 4, 5]))
    length, saved = prefixes.find(None, [*common, 3, 4, 9, 9])
    assert length == MIN_SHARED + 2
    assert saved[0][0, :length, 0].tolist() == [*common, 3, 4]
    # Somebody must compute what comes after the last token.
    assert prefixes.find(None, [*common, 1, 2])[0] == MIN_SHARED + 1
    assert prefixes.find(None, [9, *common]) == (0, [])
    assert prefixes.find(object(), [*common, 3, 4]) == (0, [])


def test_what_is_used_least_goes_first() -> None:
    rows = [[n] * MIN_SHARED for n in range(4)]
    prefixes = Prefixes(budget=3 * MIN_SHARED * 4)
    for row in rows[:3]:
        prefixes.keep(None, row, kept(row))
    prefixes.find(None, [*rows[0], 9])
    prefixes.keep(None, rows[3], kept(rows[3]))
    assert [prefixes.find(None, [*row, 9])[0] for row in rows] == [MIN_SHARED, 0, MIN_SHARED, MIN_SHARED]


def test_few_shot_prompts_are_answered_as_if_each_were_the_first(desk, open_desk) -> None:
    texts = [EXAMPLES + question for question in QUESTIONS]
    together = desk.ask_all(texts, max_tokens=10, logprobs=0)
    later = desk.ask(texts[2], max_tokens=10)
    alone = [open_desk().ask(text, max_tokens=10) for text in texts]
    assert later["text"] == alone[2]["text"]
    for one, other in zip(together, alone, strict=True):
        assert one["text"] == other["text"]
        assert one["logprob"] == pytest.approx(other["logprob"], abs=1e-3)


def test_a_shared_beginning_is_read_once(desk, monkeypatch) -> None:
    read = []
    forward = desk.batch.model.forward

    def counting(segments):
        read.extend(len(s.tokens) for s in segments if len(s.tokens) > 1)
        return forward(segments)

    monkeypatch.setattr(desk.batch.model, "forward", counting)
    texts = [EXAMPLES + question for question in QUESTIONS]
    prompts = [desk.chat.prompt([{"role": "user", "content": text}]) for text in texts]
    common = min(shared(prompts[0], prompt) for prompt in prompts[1:])
    desk.ask_all(texts, max_tokens=2)
    tails = sum(len(prompt) - common for prompt in prompts)
    assert common > 2 * MIN_SHARED
    assert sum(read) <= common + tails
    read.clear()
    desk.ask(texts[0], max_tokens=2)
    assert sum(read) <= len(prompts[0]) - common


def test_an_adapter_has_beginnings_of_its_own(desk, open_desk, make_adapter) -> None:
    text = EXAMPLES + QUESTIONS[0]
    adapter = str(make_adapter())
    plain = desk.ask(text, max_tokens=10)
    tuned = desk.ask(text, max_tokens=10, adapter=adapter)
    assert tuned["text"] == open_desk().ask(text, max_tokens=10, adapter=adapter)["text"]
    assert tuned["logprob"] != pytest.approx(plain["logprob"], abs=1e-3)
