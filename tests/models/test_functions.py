"""What functions of a model have at hand is followed, and what computes nothing else is let be."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attnmass.models.state import identity
from tests.models.changing import linears
from tests.models.test_behaviour import KINDS, module
from tests.models.test_state import MODELS, fresh, make, masses
from tests.tiny import tiny_model

FACTOR = torch.tensor(1.0)
MODULE = module(1.0)


class Helper:
    """An object whose method is a module's way to run."""

    def __init__(self) -> None:
        self.number = 1.0

    def run(self, layer: nn.Linear, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        return nn.Linear.forward(layer, states) * self.number


def close_over_tensor(layer: Any, run: Any) -> Callable[[], object]:
    """A tensor that a function closes over."""
    number = torch.tensor(1.0)
    layer.forward = lambda states: run(states) * number
    return lambda: number.mul_(3)


def close_over_list(layer: Any, run: Any) -> Callable[[], object]:
    """A list that a function closes over, one function deeper."""
    numbers = [1.0]
    layer.forward = (lambda inner: lambda states: inner(states))(lambda x: run(x) * numbers[0])
    return lambda: numbers.append(numbers.pop() * 3)


def close_over_array(layer: Any, run: Any) -> Callable[[], object]:
    """An array that a function closes over."""
    numbers = np.ones(1, dtype=np.float32)
    layer.forward = lambda states: run(states) * float(numbers[0])
    return lambda: numbers.fill(3)


def close_over_module(layer: Any, run: Any) -> Callable[[], object]:
    """A module that only a function closes over."""
    inner = module(1.0)
    layer.forward = lambda states: run(states) * inner.weight[0, 0]
    return lambda: inner.weight.mul_(3)


def rebind(layer: Any, run: Any) -> Callable[[], object]:
    """A number of the function around."""
    number = 1.0

    def write() -> None:
        nonlocal number
        number = 3.0

    layer.forward = lambda states: run(states) * number
    return write


def read_tensor(layer: Any, run: Any) -> Callable[[], object]:
    """A tensor of the function's file."""
    FACTOR.fill_(1)
    layer.forward = lambda states: run(states) * FACTOR
    return lambda: FACTOR.mul_(3)


def read_module(layer: Any, run: Any) -> Callable[[], object]:
    """A module of the file that a class is in."""
    with torch.no_grad():
        MODULE.weight.fill_(1)

    class Own(nn.Linear):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states) * MODULE.weight[0, 0]

    layer.__class__ = Own
    return lambda: MODULE.weight.mul_(3)


def bind(layer: Any, run: Any) -> Callable[[], object]:
    """An object whose method is bound."""
    helper = Helper()
    layer.forward = partial(helper.run, layer)
    return lambda: setattr(helper, "number", 3.0)


def default(layer: Any, run: Any) -> Callable[[], object]:
    """What an argument is by default."""

    def times(states: Tensor, by: Tensor = torch.ones(())) -> Tensor:  # noqa: B008
        return run(states) * by

    layer.forward = times
    return lambda: times.__defaults__[0].mul_(3)  # type: ignore[index]


def recode(layer: Any, run: Any) -> Callable[[], object]:
    """The code of a function."""

    def times(states: Tensor) -> Tensor:
        return run(states) * 1.0

    def other(states: Tensor) -> Tensor:
        return run(states) * 3.0

    layer.forward = times
    return lambda: setattr(times, "__code__", other.__code__)


AT_HAND = [close_over_tensor, close_over_list, close_over_array, close_over_module, rebind,
           read_tensor, read_module, bind, default, recode]  # fmt: skip


@pytest.mark.parametrize("kind", ["late", "BART"])
@pytest.mark.parametrize("place", AT_HAND, ids=lambda each: each.__name__)
def test_what_functions_have_at_hand_is_followed(kind: str, place: Any, tmp_path: Path) -> None:
    """What a way to run closes over, or reads, changes under a ranker that has read chunks."""
    model = MODELS[kind][0]()
    _, _, layer = next(linears(model))
    change = place(layer, layer.forward)
    ranker = make(kind, model, store=tmp_path)
    before = masses(ranker)
    with torch.no_grad():
        change()
    after = fresh(kind, model)
    assert after != before
    assert masses(ranker) == after
    assert masses(make(kind, model, store=tmp_path)) == after


def is_even(number: int) -> bool:
    """Whether a number is even, told with `is_odd`."""
    return number == 0 or is_odd(number - 1)


def is_odd(number: int) -> bool:
    """Whether it is odd."""
    return number != 0 and is_even(number - 1)


def test_functions_that_call_functions_are_told() -> None:
    """However deep they call, and in a circle, they are told the same each time."""
    model = tiny_model(gain=4.0)
    _, _, layer = next(linears(model))
    run = layer.forward
    for _ in range(7):
        run = (lambda inner: lambda states: inner(states) * is_even(4))(run)
    layer.forward = run
    assert identity(model) == identity(model)


def checkpoint(model: Any) -> None:
    """Train with less memory, and no longer."""
    model.gradient_checkpointing_enable()
    model.gradient_checkpointing_disable()


def compile_layers(model: Any) -> None:
    """Have each layer compiled when it runs."""
    for name, each in model.named_modules():
        if name.rpartition(".")[2].isdigit():
            each.compile()


def put_back(model: Any) -> None:
    """Write each module's own way to run where hooks of accelerate had put theirs."""
    for each in model.modules():
        each.forward = each.forward


def warn_of_moving(model: Any) -> None:
    """Have a model warn where it is moved, as accelerate's dispatch does."""
    for each in model.modules():
        each.to = functools.wraps(each.to)(partial(nn.Module.to, each))


def keep_no_cache(model: Any) -> None:
    """Say that training needs no cache."""
    model.config.use_cache = False


@KINDS
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch's own
@pytest.mark.parametrize(
    "change",
    [checkpoint, compile_layers, put_back, warn_of_moving, keep_no_cache],
    ids=lambda each: each.__name__,
)
def test_what_computes_nothing_else_is_the_same_model(
    kind: str, change: Callable[[Any], None]
) -> None:
    """What leaves the numbers as they are leaves what was kept of chunks, too."""
    model = MODELS[kind][0]()
    ranker = make(kind, model)
    expected, reader = masses(ranker), ranker._layout._reader  # type: ignore[attr-defined]
    before = reader.identity()
    change(model)
    assert masses(ranker) == expected
    assert reader.identity() == before
