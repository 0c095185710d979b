"""Scores of given spans by the ranker's own attention, in the shape of the other baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from attnmass import AttentionRanker
from attnmass.capture import Head
from attnmass.layouts import QueryAttention
from attnmass.profiles import HeadProfile, SpanRule
from attnmass.scoring.masses import chunk_scores
from attnmass.trimming import TokenMass, span_masses, span_scores, span_shares

Spans = Sequence[Sequence[tuple[int, int]]]


class AttentionSpans:
    """The scores that `AttentionRanker` orders spans by, for spans cut elsewhere."""

    def __init__(self, ranker: AttentionRanker, rule: SpanRule | None = None) -> None:
        """Score by a rule; default: the profile's."""
        self._ranker = ranker
        self._rule = rule or ranker.profile.span_rule

    def __call__(self, query: str, texts: Sequence[str], spans: Spans) -> list[list[float]]:
        """See `benchmarks.sentence_baselines.SentenceScorer`."""
        profile = self._ranker.profile
        rule, read = self._rule, profile.all_heads
        heads = [read.index(head) for head in rule.heads]
        parts = attention_by_span(self._ranker, query, texts, spans)
        chunks = shared_out([attention for attention, _, _ in parts], profile, read)
        return [
            span_scores(_of_rule(masses[heads], rule), counts, chunk, rule).tolist()
            for (_, masses, counts), chunk in zip(parts, chunks, strict=True)
        ]


def _of_rule(by_head: npt.NDArray[np.float64], rule: SpanRule) -> npt.NDArray[np.float64]:
    if rule.exponents:
        return span_shares(by_head, rule.exponents)
    return np.asarray(np.asarray(rule.weights) @ by_head)


def shared_out(
    attention: Sequence[torch.Tensor], profile: HeadProfile, heads: Sequence[Head]
) -> list[float]:
    """Scores of chunks from the attention `[head, token]` of each, as in a ranking."""
    return chunk_scores(QueryAttention(tuple(attention), torch.zeros(0)), profile, heads)[0]


def attention_by_span(
    ranker: AttentionRanker, query: str, texts: Sequence[str], spans: Spans
) -> list[tuple[torch.Tensor, npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Each chunk's attention `[head, token]`, its spans' masses `[head, span]` and token counts."""
    found = ranker.attention(query, texts)
    tokens = ranker._plain.content(texts)
    result = []
    for attention, each, mine in zip(found.chunks, tokens, spans, strict=True):
        offsets = np.array(each.offsets, dtype=np.int64)
        rows = [span_masses(TokenMass(row, offsets), mine) for row in attention.double().numpy()]
        result.append((attention, np.stack([row for row, _ in rows]), rows[0][1]))
    return result
