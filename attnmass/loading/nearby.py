"""The profile that lies next to a model, in its folder or its repository on the Hub."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from attnmass.errors import WeightsNotFoundError
from attnmass.loading.hub import why_unreachable
from attnmass.loading.sources import Source, locate
from attnmass.profiles.files import load_profile
from attnmass.profiles.profile import HeadProfile

FILE = "attnmass.json"


def profile_nearby(
    name: str,
    layout: str | None,
    *,
    revision: str | None = None,
    cache_dir: str | PathLike[str] | None = None,
    local_files_only: bool = False,
) -> HeadProfile | None:
    """The profile next to a model: `attnmass.LAYOUT.json`, else `attnmass.json` of that layout.

    Nothing is fetched for a model that is already on this machine.

    Args:
        name: As in `AttentionRanker.from_pretrained`; the same goes for the others.
        layout: What the user asked for; without it, only `attnmass.json` is looked at.
        revision: Branch, tag or commit.
        cache_dir: The Hub's cache.
        local_files_only: Never ask the Hub.

    Returns:
        `None` if there is none.

    Raises:
        ValueError: If the file is not a profile; names it.
    """
    try:
        source = locate(
            name,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=local_files_only,
        )
    except WeightsNotFoundError:
        return None  # loading the model will report it
    if not source.local and why_unreachable(source.name, revision) is not None:
        return None  # so will it here
    names = [FILE] if layout is None else [f"attnmass.{layout}.json", FILE]
    for file in names:
        path = _find(source, file, revision, cache_dir)
        if path is None:
            continue
        found = load_profile(path)
        if layout is None or found.layout == layout:
            return found
    return None


def _find(
    source: Source, file: str, revision: str | None, cache_dir: str | PathLike[str] | None
) -> Path | None:
    if source.local:
        path = Path(source.name) / file
        return path if path.is_file() else None
    kept = None if cache_dir is None else Path(cache_dir)
    try:
        return Path(hf_hub_download(source.name, file, revision=revision, cache_dir=kept))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return None  # it is not there, or loading the model will say what is wrong
