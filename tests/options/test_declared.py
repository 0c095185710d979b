"""Options as they are declared, and what is made of that."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

import numpy as np
import pytest

from attnmass import Trim
from attnmass.options.cache import CacheOptions
from attnmass.options.checked import check_option
from attnmass.options.declared import (
    Loading,
    Reading,
    Selecting,
    Storing,
    Trimming,
    defaults_of,
    names_of,
    option,
)
from attnmass.options.selection import Selection
from attnmass.options.serving import Serving
from tests.options import table

GROUPS = (Loading, Reading, Storing, Selecting, Trimming, Serving)


def test_each_is_declared_once() -> None:
    """No name is in two groups, and each has one sentence."""
    names = names_of(*GROUPS)
    assert len(names) == len(set(names)) > 30
    for group in GROUPS:
        for info in group.model_fields.values():
            assert (info.description or "").endswith(".")


def test_what_the_core_is_asked_with_is_what_is_declared() -> None:
    """`Trim`, `Selection` and `CacheOptions` have the declared names and defaults."""
    trim = {field.name: field.default for field in fields(Trim) if field.init}
    assert trim == defaults_of(Trimming)
    assert defaults_of(Selection) == {**defaults_of(Selecting), "retrieval_scores": None}
    assert defaults_of(CacheOptions) == defaults_of(Storing)


def test_the_reference_is_made_from_them() -> None:
    """The page of options says what is declared; `make options` writes it."""
    assert table.PAGE.read_text(encoding="utf-8") == table.render()


class Toy(Selecting):
    """An option of a newcomer beside those that there are."""

    after: int | None = option(None, "Leave out chunks of earlier years", unset="none", ge=1)
    share: float = option(0.5, "Share of what is left", gt=0, le=1)
    where: str | None = option(None, "A folder", path=True)
    since: str | None = option(None, "Leave out what is older", pattern=r"^\d{4}-\d\d-\d\d$")


class Words(str, Enum):
    """Values as members of an enum, which hash and format as their names."""

    ORDER = "input"
    WHERE = "a folder"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("after", np.int64(1999), 1999),
        ("after", None, None),
        ("share", np.float32(0.25), 0.25),
        ("where", table.PAGE, str(table.PAGE)),
        ("order", "input", "input"),
        ("since", "2024-01-31", "2024-01-31"),
        ("order", Words.ORDER, "input"),
        ("where", Words.WHERE, "a folder"),
    ],
)
def test_values_are_taken_as_pythons_own(name: str, value: Any, kept: Any) -> None:
    """What is in range passes, numbers of numpy, paths and enums as plain ones."""
    found = check_option(name, Toy.model_fields[name], value)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("after", 0, ValueError, "after must be at least 1, or None for none, not 0"),
        (
            "after",
            "1999",
            TypeError,
            "after must be at least 1 and a whole number, or None for none, not '1999'",
        ),
        ("share", 0, ValueError, "share must be above 0 and at most 1, not 0"),
        ("share", None, TypeError, "share must be above 0"),
        ("where", 3, TypeError, "where must be a str"),
        ("since", "31.1.2024", ValueError, r"since is written as \^.*\$, not '31\.1\.2024'"),
        ("since", 2024, TypeError, "since must be a str"),
        ("order", "worst", ValueError, "order must be one of .*'best_last'.*, not 'worst'"),
        ("fuse", 2, ValueError, "fuse must be between 0 and 1 or 'auto', or None for none, not 2"),
        ("min_relevance", 1.5, ValueError, "min_relevance must be between 0 and 1 or 'auto'"),
    ],
)
def test_limits_are_those_declared(
    name: str, value: Any, error: type[Exception], message: str
) -> None:
    """What is out of range, or of another type, is an error that is worded from the declaration."""
    with pytest.raises(error, match=message):
        check_option(name, Toy.model_fields[name], value)
