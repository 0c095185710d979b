"""From attention inside a chunk to what it says of tokens and sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from attnmass.results.inside import Inside
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.text.segmentation import segment
from attnmass.trimming import TokenMass, span_masses, tokens_of


def inside_of(
    inputs: Inputs,
    index: int,
    attention: Tensor | None,
    heads: Sequence[tuple[int, int]],
    weights: Sequence[float],
    language: str | None,
) -> Inside:
    """What attention inside one chunk says.

    Args:
        inputs: The chunks.
        index: Which of them.
        attention: From each of its tokens, `[token, head, token]`; `None` where it was not read.
        heads: The heads, in that order.
        weights: One for each head, summing to 1.
        language: Of the text, as in `attnmass.text.segmentation.segment`.
    """
    chunk = inputs.chunks[index]
    start = inputs.start(index)
    if attention is None:
        offsets = np.zeros((0, 2), np.int64)
        by_head = np.zeros((len(heads), 0, 0), np.float32)
        spans: tuple[tuple[int, int], ...] = ()
    else:
        offsets = np.array(inputs.tokens[index].offsets, dtype=np.int64).reshape(-1, 2)
        by_head = attention.numpy().transpose(1, 0, 2)
        spans = tuple((each.start, each.end) for each in segment(chunk.text, language=language))
    tokens = np.tensordot(np.asarray(weights, np.float32), by_head, axes=1)
    sentences = np.zeros((len(spans), len(spans)), np.float32)
    for number, group in enumerate(tokens_of(offsets, start, spans)):
        if group:
            masses = TokenMass(tokens[group].mean(axis=0).astype(np.float64), offsets, start)
            sentences[number] = span_masses(masses, spans)[0]
    for array in (offsets, by_head, tokens, sentences):
        array.flags.writeable = False
    return Inside(
        text=chunk.text,
        read=chunk_text(chunk),
        start=start,
        offsets=offsets,
        by_head=by_head,
        heads=tuple(heads),
        tokens=tokens,
        spans=spans,
        sentences=sentences,
        skipped=inputs.skipped.get(index),
    )
