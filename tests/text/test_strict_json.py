"""JSON of others: what it says, or an error, and never a number that it does not say."""

from __future__ import annotations

import json

import pytest

from attnmass.text.strict_json import read_json


def test_numbers_stay_what_they_are() -> None:
    """Whole numbers are exact, others floats, as Python's own reader has them."""
    said = "[0, -7, 1.5, 1e308, -0.0, 1e-999, " + "9" * 4300 + "]"
    assert read_json(said) == json.loads(said)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[NaN]", "NaN is not a JSON number"),
        ('{"a": -Infinity}', "-Infinity is not a JSON number"),
        ("1e999", "a number is too large for a float"),
        ('{"a": [-1.5e400]}', "a number is too large for a float"),
        ("9" * 4301, "a number has more than 4,300 digits"),
    ],
    ids=lambda value: value[:12],
)
def test_what_cannot_be_written_again_is_refused(said: str, message: str) -> None:
    """No number becomes infinite or takes Python's words for its limit into a message."""
    with pytest.raises(ValueError, match=message) as caught:
        read_json(said)
    assert "sys." not in str(caught.value)
