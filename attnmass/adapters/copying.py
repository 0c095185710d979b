"""Copies of what is not ours, as deep as it can be copied."""

from __future__ import annotations

import copy
from typing import Any


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy that shares what cannot be copied, such as a lock or an open file.

    Args:
        value: What is copied: plain values and containers, as metadata has them, or anything else.
        memo: As in `copy.deepcopy`: what is in there is not copied.
    """
    try:
        return copy.deepcopy(value, {} if memo is None else dict(memo))
    except Exception:
        # Not just TypeError: what is in there may refuse in its own way.
        if type(value) is dict:
            return {copied(key, memo): copied(each, memo) for key, each in value.items()}
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(copied(each, memo) for each in value)
        return value
