"""Ways in which a caller's model changes under a ranker, and layers that keep a state of their own.

`LoRA` and `Packed` stand for what PEFT and bitsandbytes do to a layer, where these are not
installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Change = Callable[[Any], object]


class LoRA(nn.Module):
    """A linear layer and what is added to it, as PEFT's layers are."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base
        generator = torch.Generator().manual_seed(1)

        def part(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) * 0.3)

        self.down = nn.ParameterDict({name: part(2, base.in_features) for name in ("a", "b")})
        self.up = nn.ParameterDict({name: part(base.out_features, 2) for name in ("a", "b")})
        self.scaling = {"a": 2.0, "b": 4.0}
        self.active = ["a"]
        self.merged: list[str] = []
        self.is_disabled = False

    @property
    def weight(self) -> Tensor:
        """The base layer's, which T5 asks for its dtype."""
        return self.base_layer.weight

    def delta(self, name: str) -> Tensor:
        """What one adapter adds to the weight."""
        return (self.up[name] @ self.down[name]) * self.scaling[name]

    def forward(self, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        out: Tensor = self.base_layer(states)
        if not self.is_disabled and not self.merged:
            for name in self.active:
                out = out + functional.linear(states, self.delta(name))
        return out


class _Held:
    """What a packed layer computes with, once it has run."""

    weight: Tensor | None = None


class Packed(nn.Linear):
    """Moves its weight into an object of its own when it first runs, as 8-bit layers do."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base.in_features, base.out_features, bias=False)
        self.weight = nn.Parameter(base.weight.detach().clone(), requires_grad=False)
        self.held = _Held()

    def forward(self, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        if self.held.weight is None:
            self.held.weight = self.weight.data * 1.0
            self.weight.data = torch.zeros(1)
        return functional.linear(states, self.held.weight)


def linears(model: nn.Module, kind: type[nn.Module] = nn.Linear) -> Iterator[tuple[Any, str, Any]]:
    """Parent, name and module of each of the layers' modules of a kind."""
    for path, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind) and "layer" in path and "base" not in name:
                yield parent, name, child


def adapt(model: Any) -> None:
    """Put adapters into all layers."""
    for parent, name, child in linears(model):
        setattr(parent, name, LoRA(child))


def adapters(model: Any) -> list[LoRA]:
    """Those that `adapt` put in."""
    return [child for _, _, child in linears(model, LoRA)]


def switch(model: Any) -> None:
    """Run the other adapter."""
    for each in adapters(model):
        each.active = ["b"]


def disable(model: Any) -> None:
    """Run the base model."""
    for each in adapters(model):
        each.is_disabled = True


def merge(model: Any) -> None:
    """Add what is active to the weights, past torch's version counters, as PEFT does."""
    for each in adapters(model):
        each.merged = list(each.active)
        for name in each.active:
            each.base_layer.weight.data += each.delta(name).detach()


def rescale(model: Any) -> None:
    """Give an adapter another part."""
    for each in adapters(model):
        each.scaling["a"] *= 3


def assign(model: Any) -> None:
    """Load other weights in the place of the old ones."""
    state = {name: weight * 1.1 for name, weight in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def replace(model: Any) -> None:
    """Put another parameter into a layer by hand."""
    parent, name, child = next(linears(model))
    del parent, name
    child.weight = nn.Parameter(child.weight.detach() * 0.5)


def replace_module(model: Any) -> None:
    """Put another module into a layer by hand."""
    parent, name, child = next(linears(model))
    other = nn.Linear(child.in_features, child.out_features, bias=child.bias is not None)
    with torch.no_grad():
        for mine, its in zip(other.parameters(), child.parameters(), strict=True):
            mine.copy_(its * 0.5)
    setattr(parent, name, other)


def write_around(model: Any) -> None:
    """Write into weights past torch's version counters, as averaged weights are put in."""
    for _, _, child in linears(model):
        child.weight.data.mul_(1.3)


def train_on(model: Any) -> None:
    """Write into weights in place, as an optimizer does."""
    with torch.no_grad():
        for _, _, child in linears(model):
            child.weight.mul_(0.8)


def sharpen(model: Any) -> None:
    """Change what scores are multiplied by."""
    for module in model.modules():
        for name in ("scaling", "scale"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, getattr(module, name) * 2)


def convert(model: Any) -> None:
    """Turn weights and buffers into half precision."""
    model.to(torch.bfloat16)


def patch(model: Any) -> None:
    """Give a module of its own another way to run."""
    _, _, child = next(linears(model))
    run = child.forward
    child.forward = lambda states: run(states) * 0.5


@contextmanager
def hooked(model: Any, *, before: bool = False) -> Iterator[list[int]]:
    """A hook that halves what a module gives, or gets; counts its calls."""
    calls: list[int] = []

    def halve(module: nn.Module, args: Any, output: Any = None) -> Any:
        calls.append(1)
        return (args[0] / 2, *args[1:]) if before else output / 2

    _, _, child = next(linears(model))
    handle = (
        child.register_forward_pre_hook(halve) if before else child.register_forward_hook(halve)
    )
    try:
        yield calls
    finally:
        handle.remove()
