"""Checks of options: an error that names the option, what it must be, and what it is."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def check_count(name: str, value: Any, least: int, *, optional: str = "") -> None:
    """Hold an option that counts something to its range.

    Args:
        name: The option's.
        value: What was passed for it.
        least: The smallest that is allowed.
        optional: What `None`, which is then allowed too, stands for.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is less than `least`.
    """
    if value is None and optional:
        return
    must = f"{name} must be at least {least}{_or_none(optional)}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{must} and a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{must}, not {value}")


def check_share(name: str, value: Any, *, above_zero: bool = False, optional: str = "") -> None:
    """Hold an option that is a share of 1 to its range.

    Args:
        name: The option's.
        value: What was passed for it.
        above_zero: Whether 0 itself is out of range.
        optional: As in `check_count`.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    if value is None and optional:
        return
    span = "above 0 and at most 1" if above_zero else "between 0 and 1"
    must = f"{name} must be {span}{_or_none(optional)}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{must}, not {value!r}")
    if not 0 <= float(value) <= 1 or (above_zero and value == 0):
        raise ValueError(f"{must}, not {value}")


def check_finite(name: str, value: Any, *, optional: str = "") -> None:
    """Hold an option to be a number.

    Args:
        name: The option's.
        value: What was passed for it.
        optional: As in `check_count`.

    Raises:
        TypeError: If it is none.
        ValueError: If it is NaN or infinite.
    """
    if value is None and optional:
        return
    must = f"{name} must be a number{_or_none(optional)}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{must}, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{must}, not {value}")


def check_type(name: str, value: Any, kind: type, *, optional: str = "") -> None:
    """Raise `TypeError` unless an option is of its type; arguments as in `check_count`."""
    if value is None and optional:
        return
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}{_or_none(optional)}, not {value!r}")


def _or_none(optional: str) -> str:
    return f", or None for {optional}" if optional else ""
