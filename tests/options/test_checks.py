"""Checks of options."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from attnmass.options.checks import check_count, check_finite, check_share, check_type


@pytest.mark.parametrize(
    ("check", "good", "off", "wrong"),
    [
        (lambda value: check_count("n", value, 2), [2, np.int8(3), 10**30], [1, -1], [True, 2.0]),
        (
            lambda value: check_share("n", value),
            [0, 1, 0.5, np.float32(0.5), Fraction(1, 2)],
            [-0.1, 1.1, math.nan, math.inf, 10**400, Fraction(-(10**400))],
            [False, "0.5"],
        ),
        (lambda value: check_share("n", value, above_zero=True), [1e-300], [0, 0.0], ["1"]),
        (
            lambda value: check_finite("n", value),
            [-5, 1e300, np.float64(0)],
            [math.nan, -math.inf, 10**400, Fraction(-(10**400))],
            [True, "5", 1j],
        ),
        (lambda value: check_type("n", value, str), ["", "a"], [], [b"", 5]),
    ],
    ids=["count", "share", "share above 0", "finite", "type"],
)
def test_ranges_and_types(
    check: Callable[[Any], None], good: list[Any], off: list[Any], wrong: list[Any]
) -> None:
    """What is in range passes; what is out of it is a `ValueError`, another type a `TypeError`."""
    for value in good:
        check(value)
    for value in off:
        with pytest.raises(ValueError, match="n must be"):
            check(value)
    for value in [*wrong, None, [1]]:
        with pytest.raises(TypeError, match="n must be"):
            check(value)


def test_none_where_it_stands_for_something() -> None:
    """`None` passes where it means something, and the error says what."""
    check_count("n", None, 1, optional="all")
    check_share("n", None, optional="none")
    check_finite("n", None, optional="all")
    check_type("n", None, str, optional="a default")
    with pytest.raises(ValueError, match="n must be at least 1, or None for all, not 0"):
        check_count("n", 0, 1, optional="all")
