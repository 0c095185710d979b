"""Profiles that were found for a model, kept under what identifies the model, and found again."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

from attnmass.models.kinds import kind_of, unwrapped
from attnmass.models.seen import Seen
from attnmass.models.state import digest_of
from attnmass.models.view import cut_config, find_decoder, layers_above
from attnmass.options.choices import FIT
from attnmass.profiles import HeadProfile, choose_profile, load_profile
from attnmass.text.prompt import PROMPT_VERSION

_logger = getLogger(__name__)


def state_of(model: Any, default: HeadProfile) -> dict[str, Any]:
    """What identifies all that a choice of heads depends on, however the model was loaded.

    Args:
        model: As `AttentionRanker` takes it.
        default: Its default profile; for a decoder, no layer above its last one counts, since it
            may not even be loaded.
    """
    inner: Any = unwrapped(model)
    skipped: Sequence[Any] = ()
    config = copy.deepcopy(inner.config)
    if kind_of(config) == "decoder":
        n_layers = default.last_layer + 1
        inner = find_decoder(model)
        skipped = layers_above(inner, n_layers)
        config = copy.deepcopy(inner.config)
        cut_config(config, n_layers)
    return {
        "model": digest_of(Seen({"": inner}, skipped), config),
        "layout": default.layout,
        "prompt_version": PROMPT_VERSION,
    }


def name_of(state: Mapping[str, Any], **more: Any) -> str:
    """The name of a file for a state of a model, and whatever else it depends on."""
    told = json.dumps({**state, **more}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def fitted_file(folder: Path, state: Mapping[str, Any], texts: str) -> Path:
    """Where a whole fit on some texts is kept."""
    return folder / f"{name_of(state)}-{texts}.json"


def newest(folder: Path, state: Mapping[str, Any], config: Any, layout: str) -> HeadProfile | None:
    """The whole fit of a model that was kept most recently, on whatever texts."""
    files = [(_age(file), file) for file in folder.glob(f"{name_of(state)}-*.json")]
    found = (read_kept(file, config, layout, FIT) for _, file in sorted(files, reverse=True))
    return next((one for one in found if one is not None), None)


def read_kept(file: Path, config: Any, layout: str, source: str) -> HeadProfile | None:
    """What is kept, checked as any profile is; what is damaged or foreign counts as missing."""
    try:
        found = load_profile(file)
        if found.prompt_version != PROMPT_VERSION or found.source != source:
            return None
        return choose_profile(config, layout, profile=found)
    except (OSError, ValueError) as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            _logger.info("%s is not used: %s", file, error)
        return None


def write_kept(file: Path, profile: HeadProfile) -> None:
    """Keep it, completely or not at all; where that fails, do without."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as written:
                written.write(profile.to_json())
            Path(scratch).chmod(0o644)  # others may share the cache
            Path(scratch).replace(file)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        _logger.info("the heads of %s are not kept: %s", profile.model, error)


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
