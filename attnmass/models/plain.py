"""Values that are numbers and texts, however nested, which are compared and written as such."""

from __future__ import annotations

import enum
from typing import Any

import torch

_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, enum.Enum, torch.dtype, torch.device,
    torch.Size,
)  # fmt: skip


def is_plain(value: Any) -> bool:
    """Whether a value consists of numbers and texts, however nested."""
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, dict):  # other mappings may read their values from a disk
        return all(is_plain(key) and is_plain(each) for key, each in value.items())
    return isinstance(value, (list, tuple, set, frozenset)) and all(map(is_plain, value))


def spelled(value: Any) -> str:
    """A plain value as text, the same whatever order its parts came in."""
    if isinstance(value, dict):
        return str(sorted((spelled(key), spelled(each)) for key, each in value.items()))
    if isinstance(value, (set, frozenset)):
        return str(sorted(map(spelled, value)))
    if isinstance(value, (list, tuple)):
        return str(list(map(spelled, value)))
    return repr(value)
