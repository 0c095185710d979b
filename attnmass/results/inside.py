"""Self-attention inside a chunk: which of its tokens and sentences look at which others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnmass.results.trace import Floats, Integers
from attnmass.text.prompt import chunk_text
from attnmass.text.segmentation import segment
from attnmass.trimming import TokenMass, span_masses, tokens_of

if TYPE_CHECKING:
    from torch import Tensor

    from attnmass.text.inputs import Inputs


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """Where the tokens and sentences of one chunk look inside it; the arrays cannot be written to.

    Rows look, columns are looked at. A row sums to less than 1: the rest is on what stands around
    the chunk, such as the prompt or special tokens. In a decoder no token looks at later ones. Of a
    chunk that is too long for the model a token looks at those in its window alone.

    Attributes:
        text: The chunk's own text.
        read: What the model read: title, what stands before, the text, what comes after.
        start: Where the text begins in that.
        offsets: `[start, end)` of each token in characters into `read`, `[token, 2]`.
        by_head: Attention of each head, `[head, token, token]`.
        heads: These heads, `(layer, head)`.
        tokens: Their weighed mean, `[token, token]`.
        spans: `[start, end)` of each sentence (heading, list item, table, ...) into `text`.
        sentences: The mean over the tokens of a sentence, summed over those of another, a token
            over its end by its share of characters, `[sentence, sentence]`; zeros for one without
            tokens.
        skipped: Why the chunk was not read, which leaves nothing in the arrays, else `None`.
    """

    text: str
    read: str
    start: int
    offsets: Integers
    by_head: Floats
    heads: tuple[tuple[int, int], ...]
    tokens: Floats
    spans: tuple[tuple[int, int], ...]
    sentences: Floats
    skipped: str | None = None

    def leans_on(self, sentence: int) -> int | None:
        """The other sentence that one looks at most, `None` where it looks at no other.

        Raises:
            IndexError: If there is no such sentence.
        """
        row = self.sentences[sentence].copy()
        row[sentence] = 0.0
        best = int(row.argmax())
        return best if row[best] > 0 else None


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
