"""A LoRA layer in one step of the graph: the same numbers as PEFT's, with a third of the passes over memory.

PEFT adds its adapter to a linear layer out of general parts: it casts the input up and down again, multiplies and adds whole
outputs, and leaves six small products to the engine. On a CPU, where memory is slow beside arithmetic, these passes cost as much
as the large products; on a GPU, each of them is a kernel to be started. Here the adapter is added inside the products (BLAS adds
for nothing), and the weights that do not learn are put into the arithmetic's precision once instead of at every use.

The parameters stay PEFT's own, and so do its files; `apply` only gives its layers another forward pass.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor


def apply(model: Any) -> None:
    """Give every LoRA layer of a model the quick forward pass; layers that have anything unusual keep PEFT's.

    Args:
        model: A `PeftModel` with one adapter, to be trained. Its frozen linear weights become bfloat16 where the arithmetic is.
    """
    from peft.tuners.lora import Linear

    inputs = _Inputs()
    for layer in model.modules():
        if isinstance(layer, Linear) and _is_plain(layer):
            layer.forward = _Forward(layer, inputs)


def lower(model: Any, dtype: torch.dtype) -> None:
    """Put the linear weights that do not learn into the precision that they are multiplied in.

    Under autocast the products are the same. It would cast these weights at every use, and keep the copies for the backward pass:
    six bytes for each number of a frozen model in the place of two. What something else than a product reads too (an embedding
    that is the head as well) stays as it is.

    Args:
        model: Its frozen linear weights are replaced.
        dtype: That of autocast.
    """
    modules = list(model.modules())
    linear = [one for one in modules if isinstance(one, torch.nn.Linear)]
    multiplied = {id(one) for one in linear}
    others = {
        id(weight) for one in modules if id(one) not in multiplied for weight in one.parameters(recurse=False)
    }
    for one in linear:
        if not one.weight.requires_grad and id(one.weight) not in others:
            one.weight.data = one.weight.data.to(dtype)


def _is_plain(layer: Any) -> bool:
    [name, *others] = layer.active_adapters
    return not (
        others
        or layer.lora_variant
        or layer.lora_bias[name]
        or layer.merged
        or not isinstance(layer.lora_dropout[name], torch.nn.Identity)
    )


class _Inputs:
    """The input of the last layer in lower precision: layers that read the same one (query, key, value) share it."""

    def __init__(self) -> None:
        self._source: Any = lambda: None
        self._cast: Tensor | None = None

    def cast(self, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        if tensor.dtype == dtype:
            return tensor
        if self._source() is not tensor or self._cast is None or self._cast.dtype != dtype:
            self._source, self._cast = weakref.ref(tensor), tensor.to(dtype)
        return self._cast


class _Forward:
    """The forward pass of one layer."""

    def __init__(self, layer: Any, inputs: _Inputs) -> None:
        [name] = layer.active_adapters
        self.base = layer.base_layer
        self.a, self.b = layer.lora_A[name].weight, layer.lora_B[name].weight
        self.scaling = float(layer.scaling[name])
        self.inputs = inputs

    def __call__(self, x: Tensor) -> Tensor:
        where = x.device.type
        dtype = torch.get_autocast_dtype(where) if torch.is_autocast_enabled(where) else x.dtype
        if self.base.weight.dtype != dtype:
            self.base.weight.data = self.base.weight.data.to(dtype)
        found: Tensor = _LoraLinear.apply(  # type: ignore[no-untyped-call]
            self.inputs.cast(x, dtype), self.base.weight, self.base.bias, self.a, self.b, self.scaling
        )
        return found


class _LoraLinear(torch.autograd.Function):
    """`y = x W' + s (x A') B'`, and its gradients for x, A and B.

    x: (..., in), W: (out, in), A: (r, in), B: (out, r). W and the bias are frozen. A and B are float32; the products are in x's
    type, and the gradients of A and B come back in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        a, b = a.to(x.dtype), b.to(x.dtype)
        inner = rows @ a.T
        found = torch.nn.functional.linear(rows, weight, None if bias is None else bias.to(x.dtype))
        found.addmm_(inner, b.T, alpha=scaling)
        ctx.save_for_backward(rows, weight, inner, a, b)
        ctx.scaling, ctx.shape = scaling, x.shape
        return found.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        rows, weight, inner, a, b = ctx.saved_tensors
        given = gradients[0].reshape(-1, weight.shape[0])
        back = given @ b
        of_a = (back.T @ rows).float().mul_(ctx.scaling)
        of_b = (given.T @ inner).float().mul_(ctx.scaling)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (given @ weight).addmm_(back, a, alpha=ctx.scaling).view(ctx.shape)
        return of_x, None, None, of_a, of_b, None
