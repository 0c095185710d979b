"""The attention that a result was made from, as plain arrays: what its `explain` draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from attnmass.text.chunk import Chunk

Floats = npt.NDArray[np.float32]
Place = tuple[str | None, int | None]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ChunkTrace:
    """Attention on one chunk that was scored.

    Attributes:
        read: What the model read of it: title, what stands before, its own text, what comes after.
        start: Where its own text begins in that.
        offsets: `[start, end)` of each token in characters into `read`, `[token, 2]`.
        masses: Attention of each head of `HeadProfile.all_heads`, averaged over the query's tokens,
            `[head, token]`.
        rows: The same for each of the query's tokens, `[query token, head, token]`, where
            `query_words` asked for it, see `QueryAttention.rows`; in an `AnswerTrace`, for each
            sentence of the answer, `[sentence, head, token]`.
    """

    read: str
    start: int
    offsets: Integers
    masses: Floats
    rows: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Attention from one query; the arrays are read-only.

    Attributes:
        chunks: What was passed in, in input order; what is not text has the text `""`.
        scored: By input index, of the chunks that were scored.
        query_offsets: `[start, end)` of each of the query's tokens in characters into the query,
            `[query token, 2]`.
        threshold: Evidence below this counted as none; `None` where there was no threshold.
        places: The id of a chunk, and where its text begins in the document that it is part of, by
            input index, where an adapter knows them.
    """

    chunks: tuple[Chunk, ...]
    scored: Mapping[int, ChunkTrace]
    query_offsets: Integers
    threshold: float | None
    places: Mapping[int, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTrace:
    """Attention from one answer; the arrays are read-only.

    Attributes:
        chunks: What was passed in, in input order; what is not text has the text `""`.
        scored: By input index, of the chunks that were read: `masses` are averaged over all of the
            answer's tokens.
        skipped: Why the others were not read, by input index.
    """

    chunks: tuple[Chunk, ...]
    scored: Mapping[int, ChunkTrace]
    skipped: Mapping[int, str]
