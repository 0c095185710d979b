"""What `Trim` takes."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest

from attnmass import Trim
from attnmass.trimming import TokenCounter
from tests.tiny import tiny_tokenizer


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_tokens": 0}, "max_tokens must be at least 1, or None for no limit, not 0"),
        ({"max_tokens": -5}, "max_tokens must be at least 1"),
        ({"keep_ratio": 0}, "keep_ratio must be above 0 and at most 1, or None"),
        ({"keep_ratio": 1.01}, "keep_ratio must be above 0"),
        ({"keep_ratio": float("nan")}, "keep_ratio must be above 0 .*not nan"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": -0.5}, "top_p must be above 0"),
        ({"top_p": float("inf")}, "top_p must be above 0 .*not inf"),
        ({"min_keep": -1}, "min_keep must be at least 0, not -1"),
        ({"neighbors": -1}, "neighbors must be at least 0, not -1"),
        ({"on_empty": "cry"}, "on_empty must be one of .*'cut'.*, not 'cry'"),
        ({"on_empty": None}, "on_empty must be one of"),
    ],
)
def test_out_of_range(options: dict[str, Any], match: str) -> None:
    """A number or a word that cannot be is a `ValueError` with the option and what it was."""
    with pytest.raises(ValueError, match=match):
        Trim(**options)


@pytest.mark.parametrize("wrong", [True, "5", 5.5, float("nan"), [5]])
@pytest.mark.parametrize("name", ["max_tokens", "min_keep", "neighbors"])
def test_counts_are_whole_numbers(name: str, wrong: Any) -> None:
    """What counts something is a whole number: no truth value, text, fraction or list."""
    with pytest.raises(
        TypeError,
        match=rf"{name} must be at least \d and a whole number(, or None for no limit)?, not",
    ):
        Trim(**{name: wrong})


@pytest.mark.parametrize("wrong", [True, "0.5", [0.5], 1j])
@pytest.mark.parametrize("name", ["keep_ratio", "top_p"])
def test_shares_are_numbers(name: str, wrong: Any) -> None:
    """A share is a number: no truth value, text or list."""
    with pytest.raises(TypeError, match=f"{name} must be above 0"):
        Trim(**{name: wrong})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"min_keep": None}, "min_keep"),
        ({"neighbors": None}, "neighbors"),
        ({"keep_titles": "no"}, "keep_titles must be a bool, not 'no'"),
        ({"keep_titles": None}, "keep_titles must be a bool"),
        ({"resolve_context": 1}, "resolve_context must be a bool, not 1"),
        ({"separator": None}, "separator must be a str, not None"),
        ({"separator": b"..."}, "separator must be a str"),
        ({"language": 5}, "language must be a str, or None"),
        ({"tokenizer": 5}, "int is not a tokenizer"),
        ({"tokenizer": "gpt-4"}, "str is not a tokenizer"),
        ({"max_token": 5}, "unexpected keyword argument 'max_token'"),
        ({"counter": len}, "unexpected keyword argument 'counter'"),
    ],
)
def test_other_types(options: dict[str, Any], match: str) -> None:
    """What is of another type, and what is no option, is a `TypeError` with the option's name."""
    with pytest.raises(TypeError, match=match):
        Trim(**options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_tokens": 1, "keep_ratio": 1, "top_p": 1},
        {"max_tokens": np.int64(5), "keep_ratio": np.float32(0.5), "min_keep": np.int32(0)},
        {"min_keep": 0, "neighbors": 0, "separator": "", "language": "de"},
        {"on_empty": "cut", "tokenizer": len},
    ],
)
def test_bounds_are_allowed(options: dict[str, Any]) -> None:
    """The ends of each range are in it, and numpy's numbers are numbers."""
    trim = Trim(**options)
    assert all(getattr(trim, name) == value for name, value in options.items())


def test_tokenizer_becomes_a_counter() -> None:
    """The tokenizer is made a counter once; without one there is none."""
    assert Trim().counter is None
    counter = Trim(tokenizer=str.split).counter
    assert counter is not None
    assert counter("a b c") == 3
    again = replace(Trim(tokenizer=str.split), max_tokens=3)
    assert isinstance(again.counter, TokenCounter)


def test_frozen_comparable_and_told() -> None:
    """Options cannot be changed, are equal where they say the same, and can be printed."""
    trim: Any = Trim(max_tokens=5, tokenizer=len)
    with pytest.raises(FrozenInstanceError):
        trim.max_tokens = 6
    assert trim == Trim(max_tokens=5, tokenizer=len)
    assert "counter" not in repr(trim)


@pytest.mark.parametrize("tokenizer", [None, len, tiny_tokenizer()])
def test_copies(tokenizer: Any) -> None:
    """Options can be copied and pickled, a tokenizer with them."""
    trim = Trim(max_tokens=5, tokenizer=tokenizer)
    for again in (copy.deepcopy(trim), pickle.loads(pickle.dumps(trim))):
        assert again.max_tokens == 5
        assert (again.counter is None) == (tokenizer is None)
        if again.counter is not None and trim.counter is not None:
            assert again.counter("Albert Einstein") == trim.counter("Albert Einstein")


def test_every_option_is_documented() -> None:
    """The docstring has an entry for each field."""
    told = inspect.getdoc(Trim)
    assert told is not None
    for field in fields(Trim):
        assert f"    {field.name}: " in told
