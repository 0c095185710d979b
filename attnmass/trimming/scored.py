"""Scores of the spans of one chunk, from the attention on its tokens."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from attnmass.profiles import HeadProfile
from attnmass.scoring.masses import token_masses
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment
from attnmass.trimming.chunks import ScoredText, score_text
from attnmass.trimming.scores import TokenMass


def scored_text(
    inputs: Inputs,
    index: int,
    attention: Tensor,
    chunk_score: float,
    segments: tuple[Segment, ...],
    profile: HeadProfile,
) -> ScoredText:
    """Scores of the spans of one chunk.

    Args:
        inputs: The chunks.
        index: Which of them.
        attention: `[head, token]`; what is below zero, next to a null query, counts as zero.
        chunk_score: The chunk's, by all of them.
        segments: Its spans.
        profile: The heads that are read.
    """
    masses = token_masses(attention, profile.span_weights).double().clamp(min=0)
    offsets = np.array(inputs.tokens[index].offsets, dtype=np.int64)
    tokens = TokenMass(masses.numpy(), offsets, inputs.start(index))
    text = inputs.chunks[index].text
    return score_text(text, segments, tokens, max(0.0, chunk_score), profile.span_rule)
