"""A model is also its modules' code, and what they hold in lists: followed, and told apart."""

from __future__ import annotations

import functools
import subprocess
import sys
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
from tests.models.test_state import MODELS, fresh, make, masses
from tests.tiny import tiny_model

KINDS = pytest.mark.parametrize("kind", ["late", "parallel", "encoder", "BART"])


class Times(nn.Linear):
    """A linear layer that is multiplied by what it holds."""

    held: Any

    def forward(self, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        return super().forward(states) * _first(self.held)


class Held:
    """An object with numbers in a list."""

    def __init__(self, number: float) -> None:
        self.numbers = [torch.tensor(number)]


class Called:
    """An object that can be called."""

    def __init__(self, inner: nn.Module, number: float) -> None:
        self.inner = [inner]
        self.number = number

    def __call__(self, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        return nn.Linear.forward(self.inner[0], states) * self.number  # type: ignore[arg-type]


class Halved(nn.Linear):
    """A linear layer that gives half."""

    def forward(self, states: Tensor) -> Tensor:
        """`[..., dim]` in and out."""
        return super().forward(states) * 0.5


def _first(held: Any) -> Any:
    for _ in range(4):
        if isinstance(held, nn.Linear):
            return held.weight[0, 0]
        if isinstance(held, Held):
            held = held.numbers
        if isinstance(held, (dict, list, tuple)):
            held = held[0]
    return torch.as_tensor(held)


def module(number: float) -> nn.Linear:
    """A module whose one weight is a number."""
    made = nn.Linear(1, 1)
    with torch.no_grad():
        made.weight.fill_(number)
    return made


HOLDERS: dict[str, Callable[[float], Any]] = {
    "list": lambda x: [torch.tensor(x)],
    "tuple": lambda x: (torch.tensor(x), "other"),
    "mapping": lambda x: {0: torch.tensor(x)},
    "nested": lambda x: {0: [torch.tensor(x)]},
    "array": lambda x: np.full(1, x, dtype=np.float32),
    "arrays": lambda x: [np.full(1, x, dtype=np.float32)],
    "object": Held,
    "objects": lambda x: [Held(x)],
    "unregistered module": lambda x: [module(x)],
}


def hold(model: Any, held: Any) -> None:
    """Have all linear layers hold one thing, and multiply by it."""
    for _, _, layer in linears(model):
        layer.__class__ = Times
        layer.held = held


def multiply(held: Any) -> None:
    """Write other numbers into what is held."""
    held = held.numbers if isinstance(held, Held) else held
    if isinstance(held, nn.Linear):
        with torch.no_grad():
            held.weight.mul_(3)
    elif isinstance(held, (Tensor, np.ndarray)):
        held *= 3
    else:
        multiply(held[0])


@KINDS
@pytest.mark.parametrize("holder", HOLDERS)
def test_what_stands_in_lists_is_followed(kind: str, holder: str, tmp_path: Path) -> None:
    """Numbers that are written into what a module holds are read, and told from those before."""
    held = HOLDERS[holder](1.0)
    model = MODELS[kind][0]()
    hold(model, held)
    kept = {} if kind == "encoder" else {"store": tmp_path}
    ranker = make(kind, model, **kept)
    before = masses(ranker)
    multiply(held)
    after = fresh(kind, model)
    assert after != before
    assert masses(ranker) == after
    assert masses(make(kind, model, **kept)) == after


def assign_class(model: Any) -> None:
    """Give layers another class."""
    for _, _, layer in linears(model):
        layer.__class__ = Halved


def patch_class(model: Any) -> None:
    """Give the class of the layers another way to run."""
    (kind,) = {type(layer) for _, _, layer in linears(model)}
    kind.forward = lambda self, states: nn.Linear.forward(self, states) * 0.3


@KINDS
@pytest.mark.parametrize("change", [assign_class, patch_class], ids=lambda each: each.__name__)
def test_other_classes_are_followed(kind: str, change: Callable[[Any], None]) -> None:
    """A class that is assigned to a module, or gets another function, is what is read."""
    model = MODELS[kind][0]()
    own = type("Own", (nn.Linear,), {"forward": lambda self, x: nn.Linear.forward(self, x)})
    for _, _, layer in linears(model):
        layer.__class__ = own
    ranker = make(kind, model)
    before = masses(ranker)
    change(model)
    after = fresh(kind, model)
    assert after != before
    assert masses(ranker) == after


def patched(number: float, how: str) -> Any:
    """A model with a way to run that depends on a number."""
    model = tiny_model(gain=4.0)
    _, _, layer = next(linears(model))
    run = layer.forward

    def halve(states: Tensor, by: float = number) -> Tensor:
        return run(states) * by

    @functools.wraps(run)
    def wrapped(states: Tensor) -> Tensor:
        return run(states) * number

    def times(by: float, states: Tensor) -> Tensor:
        return run(states) * by

    class Same(nn.Linear):
        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states) * number

    class Read(nn.Linear):
        part = number

        @property
        def twice(self) -> float:
            return self.part

        def forward(self, states: Tensor) -> Tensor:
            return super().forward(states) * self.twice

    if how == "class":
        layer.__class__ = Same
    elif how == "class attribute":
        layer.__class__ = Read
    else:
        layer.forward = {
            "closure": lambda states: run(states) * number,
            "default": halve,
            "wrapped": wrapped,
            "without gradients": torch.no_grad()(wrapped),
            "partial": partial(times, number),
            "object": Called(layer, number),
        }[how]
    return model


WAYS = ["closure", "default", "wrapped", "without gradients", "partial", "object", "class",
        "class attribute"]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_models_that_run_otherwise_are_told_apart(how: str, tmp_path: Path) -> None:
    """What one left in a folder is not another's, whose code has the same name."""
    first, other = patched(0.5, how), patched(0.25, how)
    masses(make("late", first, store=tmp_path))
    expected = fresh("late", other)
    assert expected != fresh("late", first)
    assert masses(make("late", other, store=tmp_path)) == expected


def test_code_is_the_same_in_every_process() -> None:
    """What stands for code is no other in the next process, which finds what this one left."""
    ways = [way for way in WAYS if way != "object"]
    script = (
        "from attnmass.models.state import identity\n"
        "from tests.models.test_behaviour import patched\n"
        f"print([identity(patched(0.5, how)) for how in {ways}])"
    )
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert there.strip() == str([identity(patched(0.5, how)) for how in ways])
