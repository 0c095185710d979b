"""Profiles that were found for models without one, in the user's cache folder."""

from __future__ import annotations

from collections.abc import Iterator
from logging import getLogger
from pathlib import Path

from attnmass.models.caching import cache_root
from attnmass.profiles.files import load_profile
from attnmass.profiles.profile import HeadProfile

_logger = getLogger(__name__)


def kept_folder() -> Path:
    """Where they are, each in its own file."""
    return cache_root(None) / "heads"


def kept_profiles() -> Iterator[tuple[Path, HeadProfile]]:
    """All of them with their files; what is damaged is left out."""
    for file in sorted(kept_folder().glob("*.json")):
        try:
            yield file, load_profile(file)
        except (OSError, ValueError) as error:
            _logger.info("%s is left out: %s", file, error)


def file_of(profile: HeadProfile) -> Path | None:
    """The file in which a profile is kept, if it is."""
    return next((file for file, found in kept_profiles() if found == profile), None)
