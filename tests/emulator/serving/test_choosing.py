"""The constrained choice: the label that is likeliest as a whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from vertex_tuning.emulator.serving.protocol import Sampling

PROMPT = "Review: I loved the music. Is this positive or negative?"
LABELS = ["positive", "negative", "neither of the two", "pos", "no", "not at all", "Positive", "🎉"]


def scores(desk, labels: list[str], text: str = PROMPT) -> dict[str, float]:
    """Log-probability of each label after the prompt, by transformers, one by one."""
    model = AutoModelForCausalLM.from_pretrained(desk.folder, dtype=torch.float32).eval()
    prompt = desk.chat.prompt([{"role": "user", "content": text}])
    encoded = {label: desk.chat.encode(label) for label in labels}
    found = {}
    for label, tokens in encoded.items():
        if any(other[: len(tokens)] == tokens and len(other) > len(tokens) for other in encoded.values()):
            tokens = [*tokens, min(desk.chat.end_ids)]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([prompt + tokens])).logits[0]
        logprobs = torch.log_softmax(logits[len(prompt) - 1 : -1].float(), dim=-1)
        found[label] = float(sum(logprobs[at, token] for at, token in enumerate(tokens)))
    return found


def test_the_likeliest_label_is_chosen_by_all_its_tokens(desk) -> None:
    expected = scores(desk, LABELS)
    answer = desk.ask(PROMPT, labels=tuple(LABELS), logprobs=2)
    assert answer["text"] == max(expected, key=expected.__getitem__)
    assert answer["finish"] == "STOP"
    assert answer["tokens"] == len(desk.chat.encode(answer["text"]))
    assert len(answer["logprobs"]["chosenCandidates"]) == answer["tokens"]


def test_scores_are_exact_whatever_the_number_of_passes(desk, monkeypatch) -> None:
    from vertex_tuning.emulator.serving import choosing

    expected = scores(desk, LABELS)
    monkeypatch.setattr(choosing, "_MAX_TOKENS", 3)
    seen = []
    decide = choosing.Choice.scored
    monkeypatch.setattr(
        choosing.Choice, "scored", lambda self, logits: (seen.append(self), decide(self, logits))[1]
    )
    desk.ask(PROMPT, labels=tuple(LABELS))
    assert len(seen) > 1
    for label in seen[0].labels:
        assert label.score == pytest.approx(expected[label.text], abs=1e-3)


def test_choices_share_a_batch_with_talk(desk, open_desk) -> None:
    talk = desk.add("Tell me about the harbour.", max_tokens=20)
    choices = [desk.add(f"{PROMPT} {n}", labels=tuple(LABELS)) for n in range(5)]
    desk.work()
    assert desk.end(talk)["text"] == open_desk().ask("Tell me about the harbour.", max_tokens=20)["text"]
    for n, identifier in enumerate(choices):
        alone = open_desk().ask(f"{PROMPT} {n}", labels=tuple(LABELS))
        assert desk.end(identifier)["text"] == alone["text"]
        assert desk.end(identifier)["logprob"] == pytest.approx(alone["logprob"], abs=1e-3)


def test_with_a_temperature_labels_are_drawn_and_a_seed_repeats_the_draw(desk) -> None:
    labels = ("positive", "negative", "neither of the two")
    drawn = [
        desk.ask(PROMPT, labels=labels, sampling=Sampling(temperature=2.0, top_p=1.0, seed=seed))["text"]
        for seed in range(30)
    ]
    assert set(drawn) <= set(labels)
    assert len(set(drawn)) > 1
    assert (
        drawn[3]
        == desk.ask(PROMPT, labels=labels, sampling=Sampling(temperature=2.0, top_p=1.0, seed=3))["text"]
    )


def test_a_label_that_is_too_long_is_cut_and_says_so(desk) -> None:
    answer = desk.ask(PROMPT, labels=("neither of the two",), max_tokens=2)
    assert answer["finish"] == "MAX_TOKENS"
    assert answer["tokens"] == 2
    assert "neither of the two".startswith(answer["text"])


@pytest.fixture(scope="module")
def long_lived(open_desk):
    return open_desk()


@settings(max_examples=15, deadline=None)
@given(labels=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_any_text_may_be_a_label(long_lived, labels: list[str]) -> None:
    assert long_lived.ask(PROMPT, labels=tuple(labels))["text"] in labels
