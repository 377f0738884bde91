"""Answers that share a prompt: the numbers of each behind a prompt of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from transformers import AutoModelForCausalLM, LlamaConfig

from tests.training.test_supervised import tiny
from vertex_tuning.training import adapters, attention, examples, fused, groups
from vertex_tuning.training.chat import Encoded
from vertex_tuning.training.loop import Learner

__all__ = ["tiny"]  # a fixture


@pytest.fixture
def learner(tiny) -> Iterator[Learner]:
    """In fp32, so that the two ways differ by rounding alone."""
    AcceleratorState._reset_state(reset_partial_state=True)  # what an earlier run of this process chose
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(
        tiny / "tiny-0.5m", dtype=torch.float32, attn_implementation=attention.register()
    )
    model = adapters.add(model.train(), 8)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    fused.apply(model)
    yield Learner(Accelerator(cpu=True, mixed_precision="no"), model)
    AcceleratorState._reset_state(reset_partial_state=True)


def drawn(pick: random.Random, several: int, most: int) -> tuple[list[int], list[list[int]]]:
    def tokens(count: int) -> list[int]:
        return [pick.randrange(4, 380) for _ in range(count)]

    return tokens(pick.randint(3, 30)), [tokens(pick.randint(1, most)) for _ in range(several)]


@pytest.mark.parametrize(("several", "most"), [(1, 5), (8, 5), (16, 60)])
def test_each_answer_is_as_likely_as_behind_a_prompt_of_its_own(learner, several, most):
    pick = random.Random(several)
    asked = [drawn(pick, several, most) for _ in range(3)]
    packed = [
        group
        for row, (prompt, answers) in enumerate(asked)
        for group in groups.grouped(prompt, answers, row * several)
    ]
    assert sum(len(group.answers) for group in packed) == 3 * several
    assert (len(packed) > 3) == (most == 60)
    each, owners = groups.log_likelihoods(learner, packed)
    together = torch.zeros(3 * several).index_add(0, owners, each)
    together.square().sum().backward()
    parameters = [parameter for parameter in learner.model.parameters() if parameter.requires_grad]
    gradients = [parameter.grad.clone() for parameter in parameters]
    learner.model.zero_grad()

    alone = [
        Encoded(prompt + answer, [False] * len(prompt) + [True] * len(answer))
        for prompt, answers in asked
        for answer in answers
    ]
    ids, before, answers = examples.tensors(alone, torch.device("cpu"))
    one, _ = learner.likelihoods(ids, before, answers)
    apart = torch.zeros(3 * several).index_add(0, before.nonzero()[:, 0], one)
    apart.square().sum().backward()

    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)
    for parameter, found in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(
            found, parameter.grad, rtol=1e-3, atol=1e-3 * float(parameter.grad.abs().max())
        )


def test_what_is_sampled_has_the_likelihoods_of_the_model(learner):
    """A token that is drawn often is one that the model finds likely: the copied prompt is read as the prompt."""
    pick = random.Random(0)
    prompts = [drawn(pick, 1, 1)[0] for _ in range(2)]
    torch.manual_seed(1)
    many = 4000
    firsts = groups.sample(learner, prompts, many, ends=torch.tensor([2]), most=1)
    assert len(firsts) == 2 * many
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([prompt])
        with torch.no_grad():
            logits = learner.model(input_ids=ids).logits[0, -1]
        expected = torch.softmax(logits.float(), -1)
        counts = torch.zeros_like(expected)
        for [token] in firsts[row * many : (row + 1) * many]:
            counts[token] += 1
        assert float((counts / many - expected).abs().max()) < 0.04


def test_a_gpu_is_filled_and_a_cpu_gets_what_it_got(learner):
    """Whatever the model: so many answers that their keys, values and logits stay within what they are given."""
    few = {"several": 2, "tokens": 200, "answers": 32}
    assert groups.prompts_at_once(learner, **few) == 16
    assert groups.prompts_at_once(learner, **few | {"several": 64}) == 1
    config = LlamaConfig(
        hidden_size=4096,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128_256,
    )
    gpu = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cuda"), unwrap_model=lambda model: model),
        model=SimpleNamespace(config=config),
    )
    each = 200 * 32 * 8 * 128 * (4 + 2) + 16 * 128_256  # bytes: keys, values and logits of an answer
    assert 0.9 * groups._ROOM < 2 * groups.prompts_at_once(gpu, **few) * each <= groups._ROOM
