"""Scores of the spans of one chunk, from the attention on its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from attnmass.layouts.base import Beside
from attnmass.profiles import HeadProfile, RelevanceRule
from attnmass.scoring.masses import token_masses
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment
from attnmass.text.words import QueryWords
from attnmass.trimming.chunks import ScoredText, score_text
from attnmass.trimming.scores import TokenMass, tokens_of


def scored_text(
    inputs: Inputs,
    index: int,
    attention: Tensor,
    chunk_score: float,
    segments: tuple[Segment, ...],
    profile: HeadProfile,
    beside: Beside | None = None,
    words: QueryWords | None = None,
) -> ScoredText:
    """Scores of the spans of one chunk.

    Args:
        inputs: The chunks.
        index: Which of them.
        attention: `[head, token]`; what is below zero, where a null query is subtracted, counts as
            zero.
        chunk_score: The chunk's, among all of them.
        segments: Its spans.
        profile: The heads that are read.
        beside: What the distinct chunks got beside a background, for relevance.
        words: The query's, where they play a part in it.
    """
    masses = token_masses(attention, profile.span_weights).double().clamp(min=0)
    offsets = np.array(inputs.tokens[index].offsets, dtype=np.int64)
    tokens = TokenMass(masses.numpy(), offsets, inputs.start(index))
    text = inputs.chunks[index].text
    likely = None
    if profile.relevance is not None and beside is not None:
        groups = tokens_of(offsets, inputs.start(index), [(s.start, s.end) for s in segments])
        known = [profile.all_heads.index(head) for head in profile.relevance.heads]
        parts = beside.parts(inputs.places[index], groups)[:, known]
        likely = _relevances(parts.tolist(), text, segments, profile.relevance, words)
    score = max(0.0, chunk_score)
    rule, by_head = profile.span_rule, None
    if rule.exponents:
        rows = [profile.all_heads.index(head) for head in rule.heads]
        by_head = attention[rows].double().clamp(min=0).numpy()
    return score_text(text, segments, tokens, score, rule, likely, by_head)


def _relevances(
    masses: Sequence[Sequence[float]],
    text: str,
    segments: Sequence[Segment],
    rule: RelevanceRule,
    words: QueryWords | None,
) -> list[float]:
    """Relevance of each span of a chunk, from its masses beside the background, `[span][head]`."""
    said = [0.0] * len(segments)
    if words is not None and rule.span_words:
        said = [words.said(text[each.start : each.end]) for each in segments]
    return [
        rule.of_span(mine, share) if any(mine) else 0.0
        for mine, share in zip(masses, said, strict=True)
    ]
