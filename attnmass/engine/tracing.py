"""From attention to the arrays that a result keeps of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from attnmass.layouts import QueryAttention
from attnmass.results.trace import AnswerTrace, ChunkTrace, Floats, Integers, Trace
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.text.tokens import Tokens


def answer_trace(inputs: Inputs, attention: Sequence[QueryAttention]) -> AnswerTrace:
    """Keep what an answer's attention says.

    Args:
        inputs: The chunks.
        attention: Of each sentence, and last of all of them together.
    """
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
