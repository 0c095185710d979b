"""What is sent to a server, and what has no place there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

from attnmass.errors import UnsupportedModelError
from attnmass.text.chunk import Chunk

NO_EMBED_MODEL = (
    "embed_model is for a model in this process: a server scores spans by attention alone, so "
    "leave it out"
)


def documents(
    chunks: Sequence[Chunk], not_text: set[int], scores: Sequence[float | None] | None = None
) -> list[dict[str, Any]]:
    """Chunks as the server takes them; a score that is not finite counts as none, as it does here.

    Titles and what stands around texts are left out where there are none.
    """
    found = []
    for index, chunk in enumerate(chunks):
        document: dict[str, Any] = {"text": None if index in not_text else chunk.text}
        if chunk.title is not None:
            document["title"] = chunk.title
        for name in ("before", "after"):
            if getattr(chunk, name):
                document[name] = getattr(chunk, name)
        score = None if scores is None else scores[index]
        if score is not None and math.isfinite(score):
            document["score"] = float(score)
        found.append(document)
    return found


def check_here(batch_size: int | None, progress: bool | None, embed_model: object = None) -> None:
    """Raise `ValueError` for what only a model in this process can be told."""
    if batch_size is not None:
        raise ValueError("batch_size is for a model in this process: a server has its own")
    if progress:
        raise ValueError("progress is for a model in this process: a server shows none")
    if embed_model is not None:
        raise ValueError(NO_EMBED_MODEL)


def not_served(verb: str) -> NoReturn:
    """Raise `UnsupportedModelError` for a verb that no route answers."""
    raise UnsupportedModelError(
        f"{verb}() tells more than a server does: load the model in this process, with "
        "AttentionRanker.from_pretrained"
    )
