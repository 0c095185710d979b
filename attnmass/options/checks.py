"""Checks of options: an error that names the option, what it must be, and what it is."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Mapping, Sequence, Set, Sized
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
    must, instead = f"{name} must be at least {least}", _or_none(optional)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{must} and a whole number{instead}, not {value!r}")
    if value < least:
        raise ValueError(f"{must}{instead}, not {value}")


def check_share(
    name: str,
    value: Any,
    *,
    above_zero: bool = False,
    optional: str = "",
    choices: Sequence[str] = (),
) -> None:
    """Hold an option that is a share of 1 to its range.

    Args:
        name: The option's.
        value: What was passed for it.
        above_zero: Whether 0 itself is out of range.
        optional: As in `check_count`.
        choices: Words that are allowed as well.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    if value is None and optional:
        return
    if isinstance(value, str) and value in choices:
        return
    span = "above 0 and at most 1" if above_zero else "between 0 and 1"
    must = f"{name} must be {' or '.join([span, *map(repr, choices)])}{_or_none(optional)}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{must}, not {value!r}")
    if not (is_finite(value) and 0 <= float(value) <= 1) or (above_zero and value == 0):
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
    if not is_finite(value):
        raise ValueError(f"{must}, not {value}")


def check_type(name: str, value: Any, kind: type, *, optional: str = "") -> None:
    """Raise `TypeError` unless an option is of its type; arguments as in `check_count`."""
    if value is None and optional:
        return
    if not isinstance(value, kind):
        what = f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}"
        raise TypeError(f"{name} must be {what}{_or_none(optional)}, not {value!r}")


def check_items(name: str, value: Any, kind: type | tuple[type, ...], *, instead: str) -> None:
    """Hold an argument to be a sequence of things of one type.

    Args:
        name: The argument's.
        value: What was passed for it.
        kind: What each of them must be; `object` lets all pass.
        instead: What to pass.

    Raises:
        TypeError: If it is none, or one of them is of another type.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    what = " or ".join(each.__name__ for each in kinds if each is not object)
    if not _is_sequence(value):
        of = f" of {what}" if what else ""
        raise TypeError(
            f"{name} must be a sequence{of}, not {type(value).__name__}: pass {instead}"
        )
    for index, each in enumerate(value):
        if not isinstance(each, kind):
            raise TypeError(
                f"{name}[{index}] must be a {what}, not {type(each).__name__}: pass {instead}"
            )


def as_heads(value: Any) -> tuple[tuple[int, int], ...]:
    """Heads as `(layer, head)` pairs of Python's own whole numbers.

    Raises:
        TypeError: If they are no sequence of such pairs.
    """
    if not isinstance(value, str) and isinstance(value, Iterable):
        value = list(value)
    check_items("heads", value, object, instead="pairs such as [(3, 0), (5, 2)]")
    for pair in value:
        check_items("a head", pair, object, instead="its layer and head, such as (3, 0)")
        whole = [isinstance(each, Integral) and not isinstance(each, bool) for each in pair]
        if whole != [True, True]:
            told = tuple(pair)
            raise TypeError(f"a head is its layer and head, such as (3, 0), not {told!r}")
    return tuple((int(layer), int(head)) for layer, head in value)


def check_path(name: str, value: Any) -> None:
    """Hold an argument to be a name or a path.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is empty.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a name or a path, not {value!r}")
    if not os.fspath(value):
        raise ValueError(f"{name} is empty: pass a name or a path")


def as_float(value: Any) -> float | None:
    """A number of any library's as a float, `None` for what is none, truth values and texts too.

    One that is beyond what a float holds is infinite.
    """
    no_number = isinstance(value, str | bytes | bytearray) or not hasattr(value, "__float__")
    if no_number or type(value).__name__ in ("bool", "bool_"):
        return None
    value = value.detach() if hasattr(value, "detach") else value
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):  # several numbers, or a date
        return None


def is_finite(number: Real) -> bool:
    """Whether a number is one that a float holds: whole ones of JSON may have any size."""
    found = as_float(number)
    return found is not None and math.isfinite(found)


def finite(number: float | None) -> float | None:
    """A number, `None` for what JSON has no word for, such as a retriever may give."""
    return None if number is None or not math.isfinite(number) else float(number)


def as_str(text: str) -> str:
    """A text's own characters as a `str`, whatever it says of itself.

    A member of an enum of texts is a `str`, and formats and hashes as its name.
    """
    return str.__str__(text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question about the known name that is nearest to one that is not; `""` if none is near."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.7)
    return f" Did you mean {lower[near[0]]!r}?" if near else ""


def _is_sequence(value: Any) -> bool:
    """Whether something has a length and an order, and is not one text or model."""
    if isinstance(value, str | bytes | bytearray | Mapping | Set):
        return False
    return isinstance(value, Sized) and hasattr(value, "__getitem__")


def _or_none(optional: str) -> str:
    return f", or None for {optional}" if optional else ""
