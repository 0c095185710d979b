"""What modules were when they were last looked at, and whether they still are the same.

A module is more than its parameters: what is written to it in Python (which adapters are active, a
scaling, a flag), tensors that are neither parameter nor buffer, objects with tensors of their own
(quantized weights), hooks. All of it is compared; whatever tells two models apart goes into their
digest.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from attnmass.models.behaviour import Classes, does, holds, is_known, written
from attnmass.models.held import DEEPEST, LOOSE, Loose, leaves, parts
from attnmass.models.plain import is_plain, spelled
from attnmass.models.rotary import changes_with_length, is_working_value
from attnmass.models.weights import Weights

FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")

_OF_TORCH = frozenset(vars(nn.Module()))
# Of what torch's modules have, everything that may change a forward pass.
_OF_A_PASS = {"_modules", "training", *FORWARD_HOOKS}
# What says nothing about what is computed: flags of loading and training, and a model's origin.
_ABOUT = {
    "_is_hf_initialized",
    "_is_buffer",
    "persistent",
    "gradient_checkpointing",
    "_gradient_checkpointing_func",
    "name_or_path",
    "_hf_hook",
    "_old_forward",
}
_DEEPEST = 2  # objects in objects
_ELSEWHERE = (
    BuiltinFunctionType, FunctionType, MethodType, ModuleType, Tensor, nn.Module, partial, type,
)  # fmt: skip


class _Owner(NamedTuple):
    """An object with attributes, and what they were.

    Attributes:
        name: Its dotted name.
        owner: The object.
        have: Its attributes, which change with it.
        size: How many there were; `None` where others may be added.
        values: Those that are compared as values.
        others: Those that are compared as objects.
    """

    name: str
    owner: Any
    have: dict[str, Any]
    size: int | None
    values: dict[str, Any]
    others: tuple[tuple[str, Any], ...]


class Seen:
    """Modules as they were when this was made.

    Attributes:
        modules: By their dotted names.
        weights: Their parameters and buffers.
    """

    def __init__(self, roots: Mapping[str, nn.Module], skipped: Iterable[nn.Module] = ()) -> None:
        """Look at modules and all that is below them.

        Args:
            roots: By name.
            skipped: Modules below them that do not count.
        """
        known = set(skipped)
        self._roots = dict(roots)
        self.modules: dict[str, nn.Module] = {}
        hidden = self._find(dict(roots), known)
        self._classes = Classes(self.modules.values())
        self._held: list[tuple[Any, Any]] = []  # lists and mappings, and what was in them
        self._owners: list[_Owner] = []
        self._holders: list[dict[str, Any]] = []  # attributes of modules with tensors
        self._loose: list[Loose] = []
        self._functions: list[Any] = []  # that are not from a known package
        self._known: set[int] = set()
        weights: dict[str, Tensor] = {}
        buffers: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            self._look_at(name, module, 0)
            varies = changes_with_length(module)
            for tensors in (module._parameters, module._buffers):
                for key, tensor in tensors.items():
                    if tensor is None or (varies and is_working_value(key)):
                        continue
                    full = f"{name}.{key}".lstrip(".")
                    weights[full] = tensor
                    if tensors is module._buffers or module in hidden:
                        buffers[full] = tensor
                    self._look_at(full, tensor, 1)
        for kind in {type(each.owner): None for each in self._owners}:
            if not issubclass(kind, PreTrainedConfig):
                self._functions.extend(written(kind).values())
        self._tensors = _ids(self._holders)
        self._compared = [(o.have, o.size, o.values.items(), o.others) for o in self._owners]
        self.weights = Weights(weights)
        self._buffers = Weights(buffers)  # views may have computed something from them

    def _find(self, roots: dict[str, nn.Module], known: set[nn.Module]) -> set[nn.Module]:
        """Find all modules, and which of them no module has registered: those are in lists."""
        hidden: set[nn.Module] = set()
        while roots:
            inside: dict[str, nn.Module] = {}
            for prefix, root in roots.items():
                for name, module in root.named_modules(memo=known, prefix=prefix):
                    self.modules[name] = module
                    own = {k: v for k, v in vars(module).items() if k not in _OF_TORCH}
                    own |= written(type(module))
                    inside |= {
                        path: each
                        for path, each in leaves(name, own)
                        if isinstance(each, nn.Module)
                    }
            roots = inside
            hidden.update(m for each in roots.values() for m in each.modules() if m not in known)
        return hidden

    def is_same(self, roots: Mapping[str, nn.Module]) -> bool:
        """Whether all is as it was, except for what was written into parameters."""
        if any(roots.get(name) is not root for name, root in self._roots.items()):
            return False
        return (
            self._are_owners_same()
            and self._classes.is_same()
            and all(loose.is_same() for loose in self._loose)
            and self._buffers.is_same()
        )

    def _are_owners_same(self) -> bool:
        """Whether all attributes are what they were; called for every query, so it is fast."""
        try:
            if self._tensors != _ids(self._holders):
                return False
            for have, size, values, others in self._compared:
                if len(have) != size and size is not None:
                    return False
                if not values <= have.items():  # what is the same object is equal
                    return False
                for key, value in others:
                    if have.get(key) is not value:
                        return False
            for held, before in self._held:
                if len(held) != len(before) or any(map(operator.is_not, parts(held), before)):
                    return False
        except (KeyError, RuntimeError, TypeError, ValueError):  # arrays are not simply equal
            return False
        return True

    def about(self) -> Iterator[str]:
        """What besides weights and config tells models apart, one line each."""
        for name, owner, have, _, values, others in self._owners:
            if isinstance(owner, PreTrainedConfig):
                continue
            own = {
                key: value for key, value in values.items() if _counts(owner, key, value)
            }  # fmt: skip
            kind = "" if isinstance(owner, PreTrainedModel) else type(owner).__qualname__
            named = {
                key: does(value, set(self._known))
                for key, value in others
                if _counts(owner, key, value)
            }
            if "_hf_hook" in have:
                named.pop("forward", None)  # of accelerate, which moves weights
            said = [f"{one} {does(value)}" for one, value in written(type(owner)).items()]
            yield " ".join((name, kind, spelled(own), spelled(named), *said))
        for loose in self._loose:
            yield f"{loose.name} {loose.checksum}"

    def code(self) -> list[str]:
        """What functions not from a known package do; what they have at hand may change."""
        told = set(self._known)
        return [does(each, told) for each in self._functions]

    def _look_at(self, name: str, owner: Any, depth: int) -> None:
        """Remember what an object's attributes are, and those of objects that are among them."""
        have = getattr(owner, "__dict__", None)
        if have is None or id(owner) in self._known:
            return
        self._known.add(id(owner))
        is_module, is_config = isinstance(owner, nn.Module), isinstance(owner, PreTrainedConfig)
        varies = is_module and changes_with_length(owner)
        values: dict[str, Any] = {}
        others: list[tuple[str, Any]] = []
        for key, value in list(have.items()):
            if is_config and key.startswith("_"):
                continue
            if isinstance(owner, PreTrainedModel) and not _is_of_model(key, value):
                continue
            if varies and is_working_value(key):
                continue
            if is_module and key in _OF_TORCH and key not in _OF_A_PASS:
                continue
            if is_module and key in ("_modules", *FORWARD_HOOKS):
                values[key] = copy.copy(value)
            elif is_plain(value):
                values[key] = copy.deepcopy(value)
            elif isinstance(value, LOOSE):
                self._loose.append(Loose.of(f"{name}.{key}", have, key))
            else:
                others.append((key, value))
        if isinstance(owner, Tensor) and values.keys() <= _ABOUT and not others:
            return
        has_more = is_config or varies or isinstance(owner, PreTrainedModel)
        size = None if has_more else len(have)
        if is_module and not varies and (have["_parameters"] or have["_buffers"]):
            self._holders.append(have)
        self._owners.append(_Owner(name, owner, have, size, values, tuple(others)))
        for key, value in others:
            if isinstance(value, (list, tuple, dict)):
                self._look_into(f"{name}.{key}", value, depth + 1)
            elif _counts(owner, key, value):
                self._look_behind(f"{name}.{key}", value, depth + 1)
            is_deep = depth >= _DEEPEST or key in _ABOUT or not _is_object(value)
            if isinstance(value, PreTrainedConfig) or not is_deep:
                self._look_at(f"{name}.{key}", value, depth + 1)

    def _look_into(self, name: str, held: Any, depth: int) -> None:
        """Remember what is in a list or a mapping, and what that is."""
        if id(held) in self._known or depth > DEEPEST:
            return
        self._known.add(id(held))
        self._held.append((held, tuple(parts(held))))
        for key, value in held.items() if isinstance(held, dict) else enumerate(held):
            below = f"{name}.{key}"
            if isinstance(value, LOOSE):
                self._loose.append(Loose.of(below, held, key))
            elif isinstance(value, (list, tuple, dict)):
                self._look_into(below, value, depth + 1)
            elif _is_object(value):
                self._look_at(below, value, depth + 1)
            else:
                self._look_behind(below, value, depth)

    def _look_behind(self, name: str, value: Any, depth: int) -> None:
        """Remember a function of the caller's, and objects that views copy with it."""
        if isinstance(value, (FunctionType, MethodType, partial)) and not is_known(value):
            self._functions.append(value)
            if not isinstance(value, FunctionType):
                self._look_into(name, holds(value), depth)


def _ids(holders: Iterable[Mapping[str, Any]]) -> list[int]:
    """The `id` of each parameter and buffer in the attributes of modules."""
    return [
        id(x)
        for have in holders
        for x in (*have["_parameters"].values(), *have["_buffers"].values())
    ]


def _is_object(value: Any) -> bool:
    """Whether it may have its own state that is not looked at elsewhere."""
    return not isinstance(value, _ELSEWHERE)


def _is_of_model(key: str, value: Any) -> bool:
    """Whether an attribute of a whole model does more than say how it was loaded or generates."""
    if key in _OF_TORCH or isinstance(value, (Tensor, PreTrainedConfig)) or callable(value):
        return True
    return not key.startswith("_") and isinstance(value, (int, float))


def _counts(owner: Any, key: str, value: Any) -> bool:
    """Whether an attribute plays a part in what a model computes."""
    if key in _ABOUT or isinstance(value, torch.device):
        return False
    if not isinstance(owner, nn.Module):
        return True
    if isinstance(value, MethodType) and value.__self__ is owner:  # put back by whoever patched it
        return value.__func__ is not getattr(type(owner), key, None)
    # Compiled by `compile`, or warns of moving weights: views run neither.
    is_of_torch = key != "forward" and hasattr(nn.Module, key) and is_known(value)
    return key not in _OF_TORCH and not is_of_torch
