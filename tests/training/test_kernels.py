"""What is computed in our own way gives the same numbers as PyTorch's and PEFT's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from vertex_tuning import training
from vertex_tuning.training import attention, fused, loop

TINY = Path(training.__file__).parent / "tiny" / "tiny-0.5m"


@pytest.mark.parametrize("length", [1, 2, 7, 64, 256, 300])
@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (9, 3), (4, 1)])
def test_attention_is_that_of_pytorch(length, heads, groups):
    torch.manual_seed(0)
    shapes = [(2, heads, length, 16), (2, groups, length, 16), (2, groups, length, 16)]
    ours = [torch.randn(*shape, requires_grad=True) for shape in shapes]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    found, _ = attention.attend(_layer(heads, groups), *ours, None, scaling=0.3, is_causal=True)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        *theirs, is_causal=True, scale=0.3, enable_gqa=True
    ).transpose(1, 2)
    torch.testing.assert_close(found, wanted)
    target = torch.randn_like(wanted)
    (found * target).sum().backward()
    (wanted * target).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def _layer(heads: int, groups: int) -> torch.nn.Module:
    layer = torch.nn.Module()
    layer.num_key_value_groups = heads // groups
    layer.is_causal = True
    return layer


def model(quick: bool, **options):
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(
        TINY, dtype=torch.float32, attn_implementation=attention.register() if quick else "sdpa"
    )
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", **options)
    made = get_peft_model(base, config)
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    if quick:
        fused.apply(made)
    return made


def gradients(made, ids, *, autocast: bool):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = made(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in made.named_parameters() if p.requires_grad}


def test_an_adapter_learns_the_same_as_peft_teaches_it():
    ids = torch.randint(4, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    loss, found = gradients(model(quick=True), ids, autocast=False)
    wanted_loss, wanted = gradients(model(quick=False), ids, autocast=False)
    torch.testing.assert_close(loss, wanted_loss)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-3, atol=1e-5)


def test_in_lower_precision_it_is_as_near_to_the_truth_as_peft_is():
    ids = torch.randint(4, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    _, truth = gradients(model(quick=False), ids, autocast=False)

    def distance(quick: bool) -> float:
        _, found = gradients(model(quick=quick), ids, autocast=True)
        off = sum(float((found[name] - truth[name]).square().sum()) for name in truth)
        return (off / sum(float(value.square().sum()) for value in truth.values())) ** 0.5

    assert distance(quick=True) < 1.25 * distance(quick=False) < 0.1


def test_what_gradient_checkpointing_computes_again_is_the_same_to_the_bit():
    ids = torch.randint(4, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    plain, found = gradients(model(quick=True), ids, autocast=True)
    lean = model(quick=True)
    lean.config.use_cache = False
    lean.activation_checkpointing_enable()
    lean.train()
    again, wanted = gradients(lean, ids, autocast=True)
    assert torch.equal(plain, again)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_frozen_products_are_lowered_and_nothing_else_is():
    """What autocast would cast at every use is cast once: the numbers stay, to the bit."""
    ids = torch.randint(4, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    loss, wanted = gradients(model(quick=True), ids, autocast=True)
    made = model(quick=True)
    fused.lower(made, torch.bfloat16)
    lowered = {name for name, one in made.named_parameters() if one.dtype == torch.bfloat16}
    assert lowered
    assert all(name.endswith(("base_layer.weight", "lm_head.weight")) for name in lowered)
    tied = made.get_input_embeddings().weight is made.get_output_embeddings().weight
    assert tied == (made.get_output_embeddings().weight.dtype == torch.float32)
    assert all(one.dtype == torch.float32 for one in made.parameters() if one.requires_grad)
    again, found = gradients(made, ids, autocast=True)
    assert torch.equal(loss, again)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_an_unusual_layer_keeps_its_own_way():
    made = model(quick=False, lora_dropout=0.1)
    fused.apply(made)
    assert not any(isinstance(vars(module).get("forward"), fused._Forward) for module in made.modules())


class _Alone:
    """What a learner asks of accelerate, on a CPU by itself."""

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def unwrap_model(self, model):
        return model


def test_logits_of_many_answers_are_computed_a_piece_at_a_time(monkeypatch):
    """Whatever the pieces, the likelihoods are the same, to the bit; and the gradients, but for the order of sums."""
    ids = torch.randint(4, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    where = torch.zeros_like(ids, dtype=torch.bool)
    where[:, 10:39] = True
    answers = ids.roll(-1, dims=1)[where]

    def learnt(logits: int):
        monkeypatch.setattr(loop, "LOGITS_AT_ONCE", logits)
        made = model(quick=True)
        each, likeliest = loop.Learner(_Alone(), made).likelihoods(ids, where, answers)
        each.mean().backward()
        return each.detach(), likeliest, {n: p.grad for n, p in made.named_parameters() if p.requires_grad}

    vocabulary = model(quick=True).config.vocab_size
    each, likeliest, found = learnt(1 << 27)
    for places in (1, 7, 87):
        again, hits, wanted = learnt(places * vocabulary)
        torch.testing.assert_close(each, again, rtol=0, atol=1e-6)
        assert torch.equal(likeliest, hits)
        for name in found:
            torch.testing.assert_close(found[name], wanted[name], rtol=0.02, atol=1e-5)
