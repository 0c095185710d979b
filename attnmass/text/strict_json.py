"""JSON that others wrote, without any number that an answer could not repeat."""

from __future__ import annotations

import json
import math
import sys
from typing import Any, NoReturn


def read_json(text: str) -> Any:
    """What a JSON text says, where Python's own reader is too lenient.

    That accepts `NaN` and `Infinity`, which JSON does not have, and makes `1e999` into `inf`: none
    of these can be written as JSON again.

    Args:
        text: One JSON text.

    Raises:
        ValueError: If it is not one, or has a number that neither `int` nor a finite `float` holds;
            as `json.JSONDecodeError` where there is a place to name.
        RecursionError: If it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a float")
    return number


def _int(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # longer than Python reads: that takes time that grows with the square
        limit = sys.get_int_max_str_digits()
        raise ValueError(f"a number has more than {limit:,} digits") from None
