"""From attention to the arrays that a result keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    for index, tokens in inputs.tokens.items():
        place = inputs.places[index]
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
    lead = len(query) - len(query.lstrip())
    scored = ChunkTraces(inputs, attention)
    return Trace(inputs.chunks, scored, _offsets(asked, lead), threshold)


class ChunkTraces(Mapping[int, ChunkTrace]):
    """Traces by input index, each put together when it is asked for.

    Some layouts work a token's mass out only then, and a drawing needs few of thousands of chunks.
    """

    def __init__(self, inputs: Inputs, attention: QueryAttention) -> None:
        """Nothing is put together yet.

        Args:
            inputs: The chunks.
            attention: On those that were read.
        """
        self._inputs = inputs
        self._attention = attention
        self._places = inputs.places

    def __getitem__(self, index: int) -> ChunkTrace:
        place = self._places[index]
        rows = self._attention.rows
        return ChunkTrace(
            chunk_text(self._inputs.chunks[index]),
            self._inputs.start(index),
            _offsets(self._inputs.tokens[index]),
            _array(self._attention.chunks[place]),
            None if rows is None else _array(rows[place]),
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __reduce__(self) -> tuple[type[dict[int, ChunkTrace]], tuple[dict[int, ChunkTrace]]]:
        """A pickle has the traces themselves, and needs no torch to be read."""
        return dict, (dict(self),)

    def __len__(self) -> int:
        return len(self._places)


def _array(found: Tensor) -> Floats:
    array: Floats = found.numpy()
    array.flags.writeable = False
    return array


def _offsets(tokens: Tokens, shift: int = 0) -> Integers:
    array = np.array(tokens.offsets, dtype=np.int64).reshape(-1, 2) + shift
    array.flags.writeable = False
    return array
