"""What classes and functions do that are not from a known package, as far as their code tells.

Two models whose modules have the same names and weights are different where a class or a patched
method of the caller's does something else: its code, what it closes over, and what it reads from
its own file count as weights do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from attnmass.models.checksums import checksum
from attnmass.models.plain import is_plain, spelled

# What these run as in the model itself depends only on what is looked at anyway.
KNOWN_PACKAGES = {"accelerate", "bitsandbytes", "peft", "torch", "transformers"}

_ENDS = {nn.Module, PreTrainedModel}  # what is above them generates, loads and saves
_TOLD_ELSEWHERE = (nn.Module, PreTrainedConfig, type)
_DEEPEST = 2  # objects in objects


def is_known(function: Any) -> bool:
    """Whether a function or class, with all that it wraps, is from a package for models."""
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
    """The function inside what Python wraps it in."""
    while True:
        if isinstance(value, property):
            value = value.fget
        elif isinstance(value, (classmethod, staticmethod, MethodType)):
            value = value.__func__
        elif isinstance(value, partial):
            value = value.func
        else:
            return value


def classes_of(kind: type) -> list[type]:
    """A module's class and its base classes that may play a part in its forward pass."""
    found = []
    for each in kind.__mro__:
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
    """The classes of some modules, as they were."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        """Take them as they are."""
        self._types = [(module, type(module)) for module in modules]
        every = {one for kind in {kind for _, kind in self._types} for one in classes_of(kind)}
        self._members = [(vars(one), members(one).items()) for one in every]

    def is_same(self) -> bool:
        """Whether no module has a new class, and no class has new functions."""
        if any(type(module) is not kind for module, kind in self._types):
            return False
        return all(before <= now.items() for now, before in self._members)


def written(kind: type) -> dict[str, Any]:
    """What a class has that is not from a known package, by name."""
    return {
        f"{one.__qualname__}.{name}": value
        for one in classes_of(kind)
        for name, value in sorted(members(one).items())
        if not is_known(one if is_plain(value) else value)
    }


def does(value: Any, told: set[int] | None = None, depth: int = 0) -> str:
    """What identifies a function, a part of one, or another object, the same in every process.

    Args:
        value: What to identify.
        told: By `id`, functions and objects that are described elsewhere, and only named here.
        depth: How many objects deep it is.
    """
    told = set() if told is None else told
    if is_plain(value):
        return spelled(value)
    if isinstance(value, (Tensor, np.ndarray)):
        return checksum(value)
    if isinstance(value, (list, tuple)):
        return str([does(each, told, depth) for each in value])
    if isinstance(value, dict):
        named = {str(key): each for key, each in value.items()}
        return str([(name, does(named[name], told, depth)) for name in sorted(named)])
    if isinstance(value, (property, classmethod, staticmethod)):
        return does(_inside(value), told, depth)
    if isinstance(value, partial):
        return f"partial {does([value.func, value.args, value.keywords], told, depth)}"
    if isinstance(value, MethodType):
        return f"{does(value.__self__, told, depth)} {does(value.__func__, told, depth)}"
    name = f"{type(value).__qualname__} {getattr(value, '__qualname__', '')}"
    if id(value) in told or is_known(value if callable(value) else type(value)):
        return name
    told.add(id(value))
    if isinstance(value, FunctionType):
        parts = (value.__defaults__, value.__kwdefaults__, *closed_over(value), reads(value))
        return f"{name} {_code(value.__code__)} {does(parts, told, depth)}"
    if isinstance(value, _TOLD_ELSEWHERE) or depth >= _DEEPEST or _is_of_python(value):
        return name
    own = [written(type(value)), getattr(value, "__dict__", None)]
    return f"{name} {does(own, told, depth + 1)}"


def closed_over(function: FunctionType) -> Iterator[Any]:
    """What a function closes over."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue


def reads(function: FunctionType) -> dict[str, Any]:
    """What a function reads from its own file: numbers, texts, tensors, modules, functions."""
    everything = function.__globals__
    return {
        name: value
        for name in _names(function.__code__)
        if (value := everything.get(name)) is not None
        and (is_plain(value) or isinstance(value, (Tensor, nn.Module, FunctionType, partial)))
    }


def holds(value: Any) -> list[Any]:
    """What a function that is not from a known package has at hand when it runs."""
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if not isinstance(value, FunctionType) or is_known(value):
        return []
    defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
    return [*defaults, *closed_over(value), *reads(value).values()]


def _is_of_python(value: Any) -> bool:
    """Whether it is a lock, a logger or the like, which say nothing about what is computed."""
    return type(value).__module__.partition(".")[0] in sys.stdlib_module_names


@lru_cache(maxsize=4096)
def _names(code: CodeType) -> list[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return sorted(set(code.co_names).union(*map(_names, inner)))


@lru_cache(maxsize=4096)
def _code(code: CodeType) -> str:
    """What a function's code says, wherever it is located."""
    consts = [_code(x) if isinstance(x, CodeType) else spelled(x) for x in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {consts}"
