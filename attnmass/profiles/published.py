"""Head lists that others published, as facts with their citation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import PurePath
from typing import Any

from attnmass.profiles.rules import Head


@cache
def published_lists() -> dict[str, dict[str, Any]]:
    """Fields of profiles, by name, such as `Llama-3.2-1B-Instruct.joint.qrhead-nq`.

    All were selected by their authors in the joint layout, with prompts of their own and with a
    null query subtracted; nothing was measured here.
    """
    found = {}
    papers = resources.files(__package__) / "data" / "papers"
    for entry in sorted(papers.iterdir(), key=lambda one: one.name, reverse=True):
        paper = json.loads(entry.read_text(encoding="utf-8"))
        for one in paper["lists"]:
            name = f"{one['model'].rpartition('/')[2]}.{paper['layout']}.{one['name']}"
            found[name] = {
                "heads": _heads(one["heads"]),
                "model": one["model"],
                "layout": paper["layout"],
                "null_query": True,
                "source": paper["source"],
                "fitted_on": one["fitted_on"],
            }
    return found


def is_named(loaded_from: str, model: str) -> bool:
    """Whether a model was loaded from a folder or repository of this name.

    Args:
        loaded_from: A repository, a folder, or a folder of the Hugging Face cache.
        model: A repository.
    """
    short = model.rpartition("/")[2].lower()
    return any(name.lower() == short for name in _names(loaded_from))


def _names(path: str) -> Iterator[str]:
    """Of the repository or folder itself, not of folders that it lies in."""
    parts = PurePath(path).parts
    yield from parts[-1:]
    yield from (part.rpartition("--")[2] for part in parts if part.startswith("models--"))


def _heads(written: str) -> tuple[Head, ...]:
    pairs = (pair.partition("-") for pair in written.split())
    return tuple((int(layer), int(head)) for layer, _, head in pairs)
