"""What is computed in our own way gives the same numbers as PyTorch's and PEFT's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from vertex_tuning import training
from vertex_tuning.training import attention, fused

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


def test_an_unusual_layer_keeps_its_own_way():
    made = model(quick=False, lora_dropout=0.1)
    fused.apply(made)
    assert not any(isinstance(vars(module).get("forward"), fused._Forward) for module in made.modules())
