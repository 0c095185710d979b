"""What a process or thread sets for all of torch, kept away from a model that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

Args = ParamSpec("Args")
Result = TypeVar("Result")

_ACCELERATORS = ("cuda", "mps", "xpu")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let neither a surrounding `torch.autocast` nor a default device affect what runs inside.

    What is computed, and kept for later calls, then depends only on the model and its input.
    """
    with ExitStack() as stack:
        for kind in ("cpu", *_ACCELERATORS):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def alone(function: Callable[Args, Result]) -> Callable[Args, Result]:
    """The same function, `undisturbed`."""

    @wraps(function)
    def run(*args: Args.args, **kwargs: Args.kwargs) -> Result:
        with undisturbed():
            return function(*args, **kwargs)

    return run
