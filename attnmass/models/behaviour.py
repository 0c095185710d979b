"""What classes and functions that no known package wrote do, as far as their code tells.

Two models whose modules have the same names and weights are two models where a class or a patched
method of the caller's does something else: its code, what it closes over, and what it reads of its
own file count as weights do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from attnmass.models.plain import is_plain, spelled
from attnmass.models.weights import checksum

# What these run as in the model itself depends on nothing but what is looked at anyway.
KNOWN_PACKAGES = {"accelerate", "bitsandbytes", "peft", "torch", "transformers"}

_ENDS = {nn.Module, PreTrainedModel}  # what is above them generates, loads and saves
_DEEPEST = 4  # functions that call functions


def is_known(function: Any) -> bool:
    """Whether a function or class, with all that it wraps, is of a package for models."""
    while function is not None:
        function = _inside(function)
        origin = getattr(function, "__module__", None) or type(function).__module__
        if isinstance(function, FunctionType):  # which may claim to be what it wraps
            origin = function.__globals__.get("__name__")
        if str(origin).partition(".")[0] not in KNOWN_PACKAGES:
            return False
        function = vars(function).get("__wrapped__") if hasattr(function, "__dict__") else None
    return True


def _inside(value: Any) -> Any:
    """The function in what Python wraps one in."""
    for _ in range(_DEEPEST):
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, (classmethod, staticmethod, MethodType)):
            value = value.__func__
        elif isinstance(value, partial):
            value = value.func
    return value


def classes_of(module: Any) -> list[type]:
    """A module's class and those above it that may have a part in its forward pass."""
    found = []
    for each in type(module).__mro__:
        if each in _ENDS or each is object:
            break
        found.append(each)
    return found


def members(kind: type) -> dict[str, Any]:
    """What a class itself defines: its functions, and its numbers and texts."""
    return {
        name: value
        for name, value in vars(kind).items()
        if callable(value)
        or isinstance(value, (property, classmethod))
        or (is_plain(value) and not name.startswith("__"))
    }


class Classes:
    """The classes of some modules, and what they were."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        """Take them as they are."""
        self._types = [(module, type(module)) for module in modules]
        each = {type(module): module for module, _ in self._types}
        self._about = {kind: classes_of(module) for kind, module in each.items()}
        every = {one for found in self._about.values() for one in found}
        self._members = [(vars(one), members(one).items()) for one in every]

    def is_same(self) -> bool:
        """Whether no module got another class, and no class other functions."""
        if any(type(module) is not kind for module, kind in self._types):
            return False
        return all(before <= now.items() for now, before in self._members)

    def spelled(self, kind: type) -> str:
        """What a class does that no known package wrote; empty where that is nothing."""
        told = [
            f"{one.__qualname__}.{name} {does(value)}"
            for one in self._about.get(kind, ())
            for name, value in sorted(members(one).items())
            if not is_known(one if is_plain(value) else value)
        ]
        return "; ".join(told)


def does(value: Any, depth: int = 0) -> str:
    """What stands for a function, a part of one, or another object, the same in every process.

    Of what cannot be told it is a word that nothing else has.
    """
    if is_plain(value):
        return spelled(value)
    if isinstance(value, Tensor):
        return checksum(value)
    if isinstance(value, (list, tuple)):
        return _all(value, depth)
    if isinstance(value, dict):
        return _named({str(key): each for key, each in value.items()}, depth)
    if isinstance(value, (property, classmethod, staticmethod)):
        return does(_inside(value), depth)
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, partial):
        return f"partial {_all([value.func, *value.args], depth)} {_named(value.keywords, depth)}"
    if isinstance(value, MethodType):
        return f"{type(value.__self__).__qualname__} {does(value.__func__, depth)}"
    name = f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"
    if callable(value) and not isinstance(value, (FunctionType, type)) and depth < _DEEPEST:
        own = {} if is_known(type(value)) else members(type(value))  # of what can be called
        return f"{name} {_named(own, depth + 1)}" if own else name
    if not isinstance(value, FunctionType) or is_known(value):
        return name
    if depth >= _DEEPEST:
        return f"{name} {secrets.token_hex()}"
    below = depth + 1
    cells = [cell.cell_contents for cell in value.__closure__ or () if _is_full(cell)]
    used = _read_by(value)
    return " ".join(
        (
            name,
            _code(value.__code__),
            _all([*(value.__defaults__ or ()), *cells], below),
            _named(value.__kwdefaults__ or {}, below),
            _named(used, below),
        )
    )


def _all(values: Iterable[Any], depth: int) -> str:
    return str([does(value, depth) for value in values])


def _named(values: Mapping[str, Any], depth: int) -> str:
    return str([(name, does(values[name], depth)) for name in sorted(values)])


def _is_full(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _read_by(function: FunctionType) -> dict[str, Any]:
    """What a function reads of its own file: numbers, texts, tensors and other functions."""
    names = _names(function.__code__)
    return {
        name: value
        for name, value in function.__globals__.items()
        if name in names
        and value is not function
        and (is_plain(value) or isinstance(value, (Tensor, FunctionType, partial)))
    }


def _names(code: CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _code(code: CodeType) -> str:
    """What a function's code says, wherever it stands."""
    return " ".join(
        (
            code.co_code.hex(),
            str(code.co_names),
            str(code.co_varnames),
            str([does(value) for value in code.co_consts]),
        )
    )
