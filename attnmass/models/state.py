"""A model's state: a view of a caller's model that follows it, and the identity of what it runs.

A caller's model changes after a ranker was built on it: adapters are added, switched or merged,
weights are trained further, replaced or converted, a hook is set. Whoever uses a view asks its
state first: changes are followed by a view that is built anew, what cannot be followed is refused,
and the identity is that of the model as it is now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import transformers
from torch import nn
from torch.nn.modules import module as of_torch

from attnmass.errors import UnsupportedModelError
from attnmass.models.behaviour import is_known
from attnmass.models.seen import FORWARD_HOOKS, Seen
from attnmass.models.sizes import FULL_DEPTH

Roots = Mapping[str, nn.Module]

# What a config says about where a model came from or how it generates, not what it computes.
_ORIGIN = {
    "architectures", "dtype", "quantization_config", "transformers_version", "use_cache",
    FULL_DEPTH,
}  # fmt: skip

_TRIES = 3


class ModelState:
    """A view of some of a model's modules, and what they were when it was built."""

    def __init__(
        self,
        roots: Callable[[], Roots],
        skipped: Callable[[], Iterable[nn.Module]],
        build: Callable[[], nn.Module],
    ) -> None:
        """Build the view.

        Args:
            roots: Finds the modules in the caller's model, by name.
            skipped: Finds the modules below them that do not run.
            build: Builds a view of them.

        Raises:
            UnsupportedModelError: If they cannot be followed.
        """
        self._roots = roots
        self._skipped = skipped
        self._build = build
        self._seen: Seen | None = None
        self._digest: str | None = None
        self._code: list[str] = []
        self.view: Any = None
        self._renew()

    def follow(self, bind: Callable[[], None]) -> None:
        """Build the view anew if it no longer runs what the model does.

        Weights are shared, and what is written into them needs no new view.

        Args:
            bind: Called once a new view is in place; also proves it.

        Raises:
            UnsupportedModelError: If the model now has something that cannot be followed.
        """
        for _ in range(_TRIES):
            _check_hooks("", of_torch._global_forward_hooks, of_torch._global_forward_pre_hooks)
            if self._seen is not None and self._seen.is_same(self._roots()):
                return
            self._renew()
            try:
                bind()
            except BaseException:
                self._seen = None  # the next call tries again
                raise
        raise UnsupportedModelError(
            "the model's modules change whenever it runs, so that what one pass reads is of no use "
            "to the next: pass a model whose modules keep no state of their own, or a copy that "
            "nothing else runs meanwhile"
        )

    def _renew(self) -> None:
        seen = Seen(self._roots(), self._skipped())
        _check(seen)
        self.view = self._build()
        self._seen = seen
        self._digest = None

    def identity(self) -> str:
        """The digest of what the view runs: every weight, the config, and all else that counts.

        To be asked after `follow`.
        """
        seen = self._seen or Seen(self._roots(), self._skipped())
        code = seen.code()
        if self._digest is None or code != self._code or not seen.weights.is_same():
            self._digest, self._code = digest_of(seen, self.view.config), code
        return self._digest


def identity(module: nn.Module) -> str:
    """The digest of a whole model as it is now."""
    return digest_of(Seen({"": module}), module.config)


def digest_of(seen: Seen, config: Any) -> str:
    """The digest of modules under a config; reads every weight."""
    said = config.to_dict()
    kept = {key: said[key] for key in sorted(said) if key[0] != "_" and key not in _ORIGIN}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
    digest.update(transformers.__version__.encode())
    for line in (*seen.weights.digests(), *seen.about()):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _check(seen: Seen) -> None:
    """Raise `UnsupportedModelError` for what a view cannot follow."""
    for name, module in seen.modules.items():
        _check_hooks(name, *(getattr(module, hooks) for hooks in FORWARD_HOOKS))
        if (hook := getattr(module, "_hf_hook", None)) is not None:
            _check_moving(name, hook)
    if missing := seen.weights.missing:
        raise UnsupportedModelError(
            f"{missing[0]} is not in memory ({len(missing)} weights are on the meta device, or "
            "offloaded by device_map), so it can neither be read nor told from others: load the "
            "model without offloading, such as with device_map={'': 'cpu'} or a smaller dtype"
        )


def _check_moving(name: str, hook: Any) -> None:
    """Refuse a hook of accelerate's form that is not one of its own, which move weights."""
    for each in getattr(hook, "hooks", ()):  # a sequence, of which some may be sequences
        _check_moving(name, each)
    patched = [vars(hook).get(method) for method in ("pre_forward", "post_forward")]
    if not all(map(is_known, (type(hook), *patched))):
        raise UnsupportedModelError(
            f"{name} has the hook {type(hook).__qualname__}, and what a hook does to activations "
            "cannot be followed: remove it (accelerate's remove_hook_from_module) while chunks are "
            "ranked, or pass a copy of the model without hooks"
        )


def _check_hooks(name: str, *registered: Mapping[int, Any]) -> None:
    for hooks in registered:
        for hook in hooks.values():
            function = hook.func if isinstance(hook, partial) else hook
            if not is_known(function):
                called = getattr(function, "__qualname__", type(function).__qualname__)
                raise UnsupportedModelError(
                    f"{name or 'every module'} has the forward hook {called}, and what a hook does "
                    "to activations cannot be followed: remove it (its handle's remove()) while "
                    "chunks are ranked, or pass a copy of the model without hooks"
                )
