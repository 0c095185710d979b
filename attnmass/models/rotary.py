"""Rotary embeddings that a module recomputes by the longest position of each pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

CHANGING = ("longrope", "dynamic")

# What such a module writes while it runs, after the name of a kind of layer where it has several.
_WORKING = ("inv_freq", "max_seq_len_cached")
_KEPT = "original_inv_freq"


def changes_with_length(module: nn.Module) -> bool:
    """Whether a module rotates vectors by frequencies that depend on the longest position."""
    kinds = getattr(module, "rope_type", None)
    each = kinds.values() if isinstance(kinds, Mapping) else [kinds]
    return any(kind in CHANGING for kind in each)


def is_working_value(key: str) -> bool:
    """Whether such a module writes an attribute while it runs, so that it says nothing about it."""
    return key.endswith(_WORKING) and not key.endswith(_KEPT)


def settle(module: Any) -> None:
    """Reset such a module to what it is before its first pass."""
    for key, kept in [*module.named_buffers(recurse=False), *vars(module).items()]:
        if key.endswith(_KEPT):
            prefix = key.removesuffix(_KEPT)
            getattr(module, f"{prefix}inv_freq").data = kept.clone()
    for key in [key for key in vars(module) if key.endswith("max_seq_len_cached")]:
        setattr(module, key, module.original_max_seq_len)
