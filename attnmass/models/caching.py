"""The folder for all that is made from models and kept for the next time."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants


def cache_root(cache_dir: Path | None) -> Path:
    """In the Hugging Face cache, or in the `cache_dir` that the user names."""
    return Path(cache_dir or constants.HF_HOME) / "attnmass"
