"""Attention on tokens assigned to spans of characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnmass.profiles.rules import log_relative

if TYPE_CHECKING:
    from attnmass.profiles import SpanRule

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Spans = Sequence[tuple[int, int]]

# A chunk's mass and the sum of its tokens' are rounded in different places.
_SLACK = 1.001


@dataclass(frozen=True, slots=True)
class TokenMass:
    """Attention on the tokens of one chunk, and where they are in its own text.

    Attributes:
        masses: `[token]`, or of several heads `[head, token]`.
        offsets: `[token, 2]`, `[start, end)` in characters into what the model read.
        shift: Where the chunk's own text begins in what the model read.
    """

    masses: Floats
    offsets: Integers
    shift: int = 0


def span_masses(tokens: TokenMass, spans: Spans) -> tuple[Floats, Floats]:
    """Mass and number of tokens of each span.

    A token counts for the spans that it lies in by its share of characters there, so that spans
    that cover the text have all its mass between them, and several tokens of one character all
    count where that character is. A token of no characters, as from tokenizers that leave white
    space out of their offsets, counts where the character before it is.

    Returns:
        Masses `[span]` (of several heads `[head, span]`) and token counts `[span]`; counts are
        fractional where a token is shared.
    """
    shape = tokens.masses.shape[:-1]
    if not spans:
        return np.zeros((*shape, 0)), np.zeros(0)
    start, end = tokens.offsets[:, 0], tokens.offsets[:, 1]
    start = np.where(start < end, start, np.maximum(start - 1, 0))
    end = np.maximum(end, start + 1) - tokens.shift
    start = start - tokens.shift
    size = (end - start).astype(np.float64)
    bounds = np.asarray(spans, dtype=np.int64)
    masses, counts = np.zeros((*shape, len(bounds))), np.zeros(len(bounds))
    for i, some in enumerate(_near(start, end, bounds)):
        low, high = bounds[i]
        inside = np.minimum(end[some], high) - np.maximum(start[some], low)
        share = np.maximum(inside, 0) / size[some]
        masses[..., i], counts[i] = tokens.masses[..., some] @ share, share.sum()
    return masses, counts


def tokens_of(offsets: Integers, shift: int, spans: Spans) -> list[list[int]]:
    """The indices of the tokens that have characters in each span; arguments as in `TokenMass`."""
    start, end = offsets[:, 0] - shift, offsets[:, 1] - shift
    found = []
    near = _near(start, end, np.asarray(spans, dtype=np.int64).reshape(-1, 2))
    for (low, high), some in zip(spans, near, strict=True):
        inside = np.minimum(end[some], high) > np.maximum(start[some], low)
        found.append((np.flatnonzero(inside) + some.start).tolist())
    return found


def _near(start: Integers, end: Integers, bounds: Integers) -> list[slice]:
    """A run of tokens for each span, with all that are in it, even where offsets are not sorted."""
    first = np.searchsorted(np.maximum.accumulate(end), bounds[:, 0], side="right")
    least = np.minimum.accumulate(start[::-1])[::-1]  # no later token starts before that
    last = np.searchsorted(least, bounds[:, 1], side="left")
    return [slice(int(a), int(b)) for a, b in zip(first, last, strict=True)]


def span_shares(
    by_head: Floats, exponents: Sequence[float], body: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """The share of its chunk that each span has, see `SpanRule`.

    Headings name what is asked for and answer nothing: they are compared with the other spans, take
    nothing from them, and get no more than the best of them.

    Args:
        by_head: For each head, its mass on each span, `[head, span]`.
        exponents: One for each head.
        body: Which spans are not headings, `[span]`; default: all. Where all are headings, they
            share.

    Returns:
        `[span]`, in [0, 1]; those of the body sum to 1.
    """
    if by_head.shape[1] == 0:
        return np.zeros(0)
    if body is None or not body.any():
        body = np.ones(by_head.shape[1], dtype=np.bool_)
    means = by_head[:, body].mean(axis=1).tolist()
    rows = [log_relative(row, mean) for row, mean in zip(by_head.tolist(), means, strict=True)]
    logits = np.asarray(exponents) @ np.array(rows)
    shares = np.exp(np.minimum(logits - logits[body].max(), 0.0))
    return np.asarray(shares / shares[body].sum())


def span_scores(masses: Floats, counts: Floats, chunk_score: float, rule: SpanRule) -> Floats:
    """What spans of different chunks are ordered by.

    `(mass / tokens ** length_exponent) ** (1 - chunk_share) * chunk_score ** chunk_share`: long
    spans gather mass by their length alone, and a sentence in a chunk that matters matters more.

    Args:
        masses: From `span_masses`, or from `span_shares` where the rule has exponents, `[span]`.
        counts: From `span_masses`, `[span]`.
        chunk_score: That of their chunk.
        rule: The profile's.

    Returns:
        `[span]`, in [0, 1].
    """
    by_length = masses / np.maximum(counts, 1.0) ** rule.length_exponent
    mixed: Floats = by_length ** (1 - rule.chunk_share) * chunk_score**rule.chunk_share
    return np.asarray(np.clip(mixed, 0.0, 1.0))


def best_possible(mass: float, chunk_score: float, rule: SpanRule) -> float:
    """An upper bound on the score of any span of a chunk, without a look at its spans.

    By a rule with exponents, that is the score of a span that is all of its chunk.

    Args:
        mass: The chunk's, from the heads that score spans.
        chunk_score: As in `span_scores`.
        rule: Likewise.
    """
    most = 1.0 if rule.exponents else max(mass, 0.0)
    (bound,) = span_scores(np.array([most]), np.ones(1), max(chunk_score, 0.0), rule)
    return float(bound) * _SLACK
