"""The attention that a result was made of, as plain arrays: what its `explain` draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from attnmass.layouts import QueryAttention
    from attnmass.results.types import Chunk
    from attnmass.text.inputs import Inputs
    from attnmass.text.tokens import Tokens

Floats = npt.NDArray[np.float32]
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
        rows: The same of each of the query's tokens, `[query token, head, token]`, where
            `query_words` asked for it, see `QueryAttention.rows`; in an `AnswerTrace` of each
            sentence of the answer, `[sentence, head, token]`.
    """

    read: str
    start: int
    offsets: Integers
    masses: Floats
    rows: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Attention from one query; the arrays cannot be written to.

    Attributes:
        chunks: What was passed in, in input order; what is no text has the text `""`.
        scored: By input index, of the chunks that were scored.
        query_offsets: `[start, end)` of each of the query's tokens in characters into the query,
            `[query token, 2]`.
        threshold: Less evidence than this was none; `None` where there was no threshold.
    """

    chunks: tuple[Chunk, ...]
    scored: Mapping[int, ChunkTrace]
    query_offsets: Integers
    threshold: float | None


@dataclass(frozen=True, slots=True, eq=False)
class AnswerTrace:
    """Attention from one answer; the arrays cannot be written to.

    Attributes:
        chunks: What was passed in, in input order; what is no text has the text `""`.
        scored: By input index, of the chunks that were read: `masses` are averaged over all of the
            answer's tokens.
        skipped: Why the others were not read, by input index.
    """

    chunks: tuple[Chunk, ...]
    scored: Mapping[int, ChunkTrace]
    skipped: Mapping[int, str]


def answer_trace(inputs: Inputs, attention: Sequence[QueryAttention]) -> AnswerTrace:
    """Keep what an answer's attention says.

    Args:
        inputs: The chunks.
        attention: Of each sentence, and last of all of them together.
    """
    from attnmass.text.prompt import chunk_text

    *sentences, whole = attention
    scored = {}
    for place, (index, tokens) in enumerate(inputs.tokens.items()):
        masses = _array(whole.chunks[place])
        rows = np.zeros((len(sentences), *masses.shape), np.float32)
        for row, sentence in zip(rows, sentences, strict=True):
            row[:] = sentence.chunks[place].numpy()
        rows.flags.writeable = False
        read = chunk_text(inputs.chunks[index])
        scored[index] = ChunkTrace(read, inputs.start(index), _offsets(tokens), masses, rows)
    return AnswerTrace(inputs.chunks, scored, inputs.skipped)


def trace(
    query: str,
    asked: Tokens,
    inputs: Inputs,
    attention: QueryAttention,
    threshold: float | None,
) -> Trace:
    """Keep what one query's attention says, without a copy of it.

    Args:
        query: As the caller passed it.
        asked: Its tokens, with offsets into it without the white space around it.
        inputs: The chunks.
        attention: On those that were read.
        threshold: That of the evidence.
    """
    from attnmass.text.prompt import chunk_text

    rows = attention.rows or [None] * len(attention.chunks)
    scored = {
        index: ChunkTrace(
            chunk_text(inputs.chunks[index]),
            inputs.start(index),
            _offsets(inputs.tokens[index]),
            _array(masses),
            None if mine is None else _array(mine),
        )
        for index, masses, mine in zip(inputs.tokens, attention.chunks, rows, strict=True)
    }
    lead = len(query) - len(query.lstrip())
    return Trace(inputs.chunks, scored, _offsets(asked, lead), threshold)


def _array(found: Tensor) -> Floats:
    array: Floats = found.numpy()
    array.flags.writeable = False
    return array


def _offsets(tokens: Tokens, shift: int = 0) -> Integers:
    array = np.array(tokens.offsets, dtype=np.int64).reshape(-1, 2) + shift
    array.flags.writeable = False
    return array
