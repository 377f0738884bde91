"""A running batch: whoever shares it changes nothing."""

from __future__ import annotations

import pytest

from vertex_tuning.emulator.serving.protocol import Sampling

PROMPTS = [
    "What is the capital of Japan?",
    "Tell me about the harbour.",
    "Is this review positive or negative? I loved every minute of it, and so did my aunt.",
    "hi",
    "What is the capital of France?",
    "Write a story about a bird, a boat and a lamp that nobody could light in the long winter.",
]


def test_an_answer_does_not_depend_on_who_is_in_the_batch(desk, open_desk) -> None:
    together = desk.ask_all(PROMPTS, max_tokens=40, logprobs=0)
    alone = [open_desk().ask(prompt, max_tokens=40, logprobs=0) for prompt in PROMPTS]
    for one, other in zip(together, alone, strict=True):
        assert one["text"] == other["text"]
        assert one["finish"] == other["finish"]
        assert one["logprob"] == pytest.approx(other["logprob"], abs=1e-3)


def test_requests_join_and_leave_a_running_batch(desk, open_desk) -> None:
    first = desk.add(PROMPTS[5], max_tokens=40)
    for _ in range(5):
        desk.batch.step()
    later = [desk.add(prompt, max_tokens=10 + 5 * index) for index, prompt in enumerate(PROMPTS)]
    desk.batch.step()
    desk.add("this one goes away", max_tokens=40)
    desk.batch.step()
    desk.batch.cancel(str(len(later) + 2))
    desk.work()
    assert desk.end(first)["text"] == open_desk().ask(PROMPTS[5], max_tokens=40)["text"]
    for index, prompt in enumerate(PROMPTS):
        alone = open_desk().ask(prompt, max_tokens=10 + 5 * index)
        assert desk.end(later[index])["text"] == alone["text"]


def test_a_cancelled_request_says_nothing_more(desk) -> None:
    gone = desk.add(PROMPTS[5], max_tokens=100, stream=True)
    stays = desk.add(PROMPTS[0], max_tokens=20)
    desk.batch.step()
    desk.batch.step()
    desk.batch.cancel(gone)
    said = len(desk.events[gone])
    desk.work()
    assert len(desk.events[gone]) == said
    assert desk.end(stays)["finish"] in ("STOP", "MAX_TOKENS")


def test_more_requests_than_rows_wait_for_their_turn(desk) -> None:
    prompts = [f"What is number {number}?" for number in range(70)]
    answers = desk.ask_all(prompts, max_tokens=8)
    assert len(answers) == 70
    assert all(answer["tokens"] <= 8 for answer in answers)


def test_a_long_prompt_is_read_in_stretches_while_others_are_answered(desk, open_desk, monkeypatch) -> None:
    from vertex_tuning.emulator.serving import engine

    long = " ".join(f"The {word} is in the garden." for word in ["lamp", "bird", "boat", "cat"] * 8)
    whole = open_desk().ask(long, max_tokens=20)
    monkeypatch.setattr(engine, "_STRETCH", 16)
    short = desk.add(PROMPTS[0], max_tokens=5)
    reads = desk.add(long, max_tokens=20)
    desk.work()
    assert desk.end(reads)["text"] == whole["text"]
    ends = [key for key, events in desk.events.items() if events[-1]["event"] == "end"]
    assert ends[0] == short


def test_candidates_share_the_prompt_and_differ_in_what_they_say(desk) -> None:
    order = desk.add(PROMPTS[5], candidates=4, max_tokens=30, sampling=Sampling(seed=7))
    desk.work()
    texts = [desk.end(order, candidate)["text"] for candidate in range(4)]
    assert len(set(texts)) > 1
    greedy = desk.add(PROMPTS[5], candidates=3, max_tokens=30)
    desk.work()
    assert len({desk.end(greedy, candidate)["text"] for candidate in range(3)}) == 1


def test_a_seed_repeats_an_answer_whoever_is_in_the_batch(desk, open_desk) -> None:
    sampling = Sampling(seed=11, temperature=1.3)
    first = desk.ask(PROMPTS[5], max_tokens=40, sampling=sampling)["text"]
    noise = [desk.add(prompt, max_tokens=40, sampling=Sampling()) for prompt in PROMPTS]
    again = desk.add(PROMPTS[5], max_tokens=40, sampling=sampling)
    other = desk.add(PROMPTS[5], max_tokens=40, sampling=Sampling(seed=12, temperature=1.3))
    desk.work()
    assert desk.end(again)["text"] == first
    assert desk.end(other)["text"] != first
    assert all(desk.end(identifier)["tokens"] for identifier in noise)


def test_an_answer_ends_with_the_context(desk) -> None:
    prompt = desk.chat.prompt([{"role": "user", "content": PROMPTS[5]}])
    order = desk.add(PROMPTS[5], context=len(prompt) + 7)
    desk.work()
    assert desk.end(order)["finish"] in ("STOP", "MAX_TOKENS")
    assert desk.end(order)["tokens"] <= 7


def test_a_step_that_fails_is_told_to_everyone_and_the_next_request_works(desk, monkeypatch) -> None:
    waiting = [desk.add(prompt) for prompt in PROMPTS[:2]]
    desk.batch.fail("no memory")
    assert not desk.batch.busy
    for identifier in waiting:
        assert desk.events[identifier] == [
            {"id": identifier, "event": "failed", "code": "INTERNAL", "message": "no memory"}
        ]
    assert desk.ask(PROMPTS[0], max_tokens=5)["tokens"]


def test_log_probabilities_are_the_models_own(desk) -> None:
    end = desk.ask(
        PROMPTS[0], max_tokens=12, logprobs=3, sampling=Sampling(temperature=0, frequency_penalty=0.5)
    )
    chosen = end["logprobs"]["chosenCandidates"]
    likeliest = end["logprobs"]["topCandidates"]
    assert len(chosen) == len(likeliest) == end["tokens"]
    assert sum(entry["logProbability"] for entry in chosen) == pytest.approx(end["logprob"], abs=1e-4)
    for entry, tops in zip(chosen, likeliest, strict=True):
        values = [top["logProbability"] for top in tops["candidates"]]
        assert len(values) == 3
        assert values == sorted(values, reverse=True)
        assert entry["logProbability"] <= values[0] + 1e-5
    assert "".join(entry["token"] for entry in chosen) == end["text"]


def test_penalties_keep_a_model_from_repeating_itself(desk) -> None:
    plain = desk.ask("aaaa", max_tokens=60)
    penalised = desk.ask(
        "aaaa", max_tokens=60, sampling=Sampling(temperature=0, frequency_penalty=1.9), logprobs=0
    )
    tokens = [entry["tokenId"] for entry in penalised["logprobs"]["chosenCandidates"]]
    assert penalised["text"] != plain["text"] or len(set(tokens)) == len(tokens)


def test_memory_is_given_back_when_nobody_needs_it(desk, monkeypatch) -> None:
    from vertex_tuning.emulator.serving import engine

    monkeypatch.setattr(engine, "_CACHE_KEPT", 0)
    first = desk.ask(PROMPTS[0], max_tokens=10)
    assert desk.batch.model.cache.slots == 0
    assert desk.ask(PROMPTS[0], max_tokens=10)["text"] == first["text"]


def test_little_memory_means_a_longer_wait_not_an_error(desk, monkeypatch) -> None:
    from vertex_tuning.emulator.serving import engine

    desk.ask("hi", max_tokens=1)
    monkeypatch.setattr(engine, "_CACHE_BUDGET", 1)
    answers = desk.ask_all(PROMPTS, max_tokens=10)
    monkeypatch.undo()
    assert [a["text"] for a in answers] == [a["text"] for a in desk.ask_all(PROMPTS, max_tokens=10)]
