"""Patterns of what must stay: what the ready-made sets find, and users' own."""

from __future__ import annotations

import pickle

import pytest

from attnmass import Trim
from attnmass.trimming import PatternError, patterns
from attnmass.trimming.patterns import SETS, read_patterns

FOUND = {
    "numbers": ["It has 5.", "Room 101"],
    "amounts": ["$5", "5 euros", "USD 3 million", "1,200.50 €", "€3bn", "12 dollars", "CHF 5'000"],
    "percentages": ["5 %", "3.5 percent", "12 per cent"],
    "dates": ["2024-01-02", "1/2/24", "12 March 2024", "March 12, 2024", "May 2024", "3.10.1990"],
    "identifiers": [
        "INV-2024-0031", "SKU_123", "A1B2C3", "#1234", "550e8400-e29b-41d4-a716-446655440000",
    ],
    "error_codes": [
        "ORA-00942", "ECONNREFUSED", "ERR_CONNECTION_RESET", "a ValueError", "HTTP 404",
        "status code: 500", "0xDEADBEEF", "errno 13", "TS2322",
    ],
    "emails": ["write to a.b+c@d-e.org."],
    "urls": ["https://x.org/y?z=1", "www.x.org", "ftp://x.org"],
    "versions": ["v1.2.3", "1.2.3-rc1"],
}  # fmt: skip
NOT_FOUND = {
    "numbers": ["five", "Roman IV"],
    "amounts": ["5 cows", "a dollar", "in 1905"],
    "percentages": ["5", "a percent"],
    "dates": ["you may go", "1905", "3/4"],
    "identifiers": ["B2B", "1990s", "10km", "well-known"],
    "error_codes": ["EUROPE", "an error", "Hello", "a_b"],
    "emails": ["a@b", "@handle"],
    "urls": ["http", "a.org"],
    "versions": ["1.2", "1905"],
}


@pytest.mark.parametrize("name", SETS)
def test_sets(name: str) -> None:
    """Each set finds what it is named for, and not what only looks like it."""
    search = read_patterns([name]).look()
    assert [text for text in FOUND[name] if not search.places(f"So {text} so")] == []
    assert [text for text in NOT_FOUND[name] if search.places(f"So {text} so")] == []


def test_own_patterns() -> None:
    """A regular expression is searched all over the text; empty matches are none."""
    search = read_patterns([r"R-\d+", "(?i)rhine", "x*"]).look()
    assert sorted(search.places("The Rhine, R-12.")) == [(4, 9), (11, 15)]


def test_a_pattern_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that tries the same again and again is stopped."""
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    search = read_patterns([r"(a|aa)+$"]).look()
    match = r"'\(a\|aa\)\+\$' of must_keep took more than 0.2 sec"
    with pytest.raises(PatternError, match=match):
        search.places("a" * 60 + "b")


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (
            ["amount"],
            ValueError,
            r"'amount', which is not a set .*Did you mean 'amounts'\?.*\(\?:amou",
        ),
        (["("], ValueError, "not a regular expression: missing .* one of numbers, amounts"),
        ([""], ValueError, "empty pattern"),
        ("amounts", TypeError, "must_keep must be a sequence of str, not str: pass ..amounts"),
        ([5], TypeError, r"must_keep\[0\] must be a str, not int"),
    ],
)
def test_what_is_no_pattern(wrong: object, error: type[Exception], match: str) -> None:
    """A misspelled set, and what is no expression, is an error when it is asked for."""
    with pytest.raises(error, match=match):
        Trim(must_keep=wrong)  # type: ignore[arg-type]


def test_a_request_with_patterns_can_be_pickled() -> None:
    """Whatever it is compiled to, it is the same request."""
    trim = Trim(must_keep=["amounts", r"R-\d+"])
    again = pickle.loads(pickle.dumps(trim))
    assert again == trim
    assert again.patterns.look().places("R-1 for $5") == trim.patterns.look().places("R-1 for $5")
