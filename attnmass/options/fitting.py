"""What a profile is fitted on at first use: one rule for the core, adapters and command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnmass.options.choices import FIT, TO_FIT


def as_texts(given: Any) -> tuple[str, ...] | None:
    """Paths and texts as strings; one alone stands for itself.

    Raises:
        TypeError: If it is something else.
        ValueError: If there is none.
    """
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        given = [given]
    if not isinstance(given, Sequence) or not all(isinstance(x, str | os.PathLike) for x in given):
        raise TypeError(f"fit_texts must be paths or texts, or None, not {given!r}")
    if not given:
        raise ValueError("fit_texts has nothing in it: pass paths or texts, or leave it out")
    return tuple(map(os.fspath, given))


def check_fit_texts(profile: Any, fit_texts: object) -> None:
    """Raise `ValueError` for texts that nothing is fitted on."""
    if fit_texts is not None and profile != FIT and getattr(profile, "source", "") != TO_FIT:
        raise ValueError("fit_texts is what profile='fit' goes by: set profile to that, too")


def path_of(text: str) -> Path | None:
    """The file or folder that a string names, `None` where there is none: then it is a text."""
    if "\n" in text:
        return None
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, or NUL in it, or no such user
        return None
