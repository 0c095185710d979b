"""From attention of an answer to what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from attnmass.engine.asking import Answered
from attnmass.engine.tracing import answer_trace
from attnmass.layouts import QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.results.attribution import Attribution
from attnmass.results.support import AnswerSentence, Support
from attnmass.scoring.masses import chunk_masses
from attnmass.text.chunk import span_id, text_digest
from attnmass.text.inputs import Inputs
from attnmass.text.segmentation import Segment, segment
from attnmass.text.tokens import Tokens
from attnmass.trimming import tokens_of
from attnmass.trimming.scored import scored_text


def answer_sentences(
    answer: str, tokens: Tokens, language: str | None
) -> tuple[list[Segment], list[list[int]]]:
    """The sentences of an answer that have tokens, and the indices of these."""
    segments = segment(answer, language=language)
    offsets = np.array(tokens.offsets, dtype=np.int64).reshape(-1, 2)
    groups = tokens_of(offsets, 0, [(each.start, each.end) for each in segments])
    known = [(each, group) for each, group in zip(segments, groups, strict=True) if group]
    return [each for each, _ in known], [group for _, group in known]


def attributed(
    asked: Answered,
    sentences: Sequence[Segment],
    attention: Sequence[QueryAttention],
    inputs: Inputs,
    profile: HeadProfile,
) -> Attribution:
    """Make an attribution of attention.

    Args:
        asked: What was asked.
        sentences: Of the answer.
        attention: Of each sentence, and last of all of them together.
        inputs: The chunks.
        profile: The heads that were read.
    """
    language, threshold = asked.language, asked.threshold
    segments = {i: segment(inputs.chunks[i].text, language=language) for i in inputs.tokens}

    def scores(looked: QueryAttention) -> tuple[float, ...]:
        masses = chunk_masses(looked, profile.chunk_weights)
        places = inputs.places
        return tuple(
            masses[places[index]] if index in places else 0.0 for index in range(len(inputs.chunks))
        )

    def sentence(each: Segment, looked: QueryAttention) -> AnswerSentence:
        masses = scores(looked)
        support = max(masses, default=0.0)
        spans = _spans(looked.chunks, masses, segments, inputs, profile)
        return AnswerSentence(
            start=each.start,
            end=each.end,
            text=asked.answer[each.start : each.end],
            spans=tuple(spans[: asked.top_spans]),
            scores=masses,
            support=support,
            supported=None if threshold is None else support >= threshold,
        )

    *by_sentence, whole = attention
    return Attribution(
        query=asked.query,
        answer=asked.answer,
        sentences=tuple(
            sentence(each, looked) for each, looked in zip(sentences, by_sentence, strict=True)
        ),
        scores=scores(whole),
        profile=profile,
        threshold=threshold,
        trace=answer_trace(inputs, attention),
    )


def _spans(
    attention: Sequence[Tensor],
    masses: Sequence[float],
    segments: Mapping[int, tuple[Segment, ...]],
    inputs: Inputs,
    profile: HeadProfile,
) -> list[Support]:
    """All spans of all chunks, best first; headings over them are no support."""
    found: list[Support] = []
    for index, place in inputs.places.items():
        mine = scored_text(inputs, index, attention[place], masses[index], segments[index], profile)
        digest = text_digest(mine.text)
        found += [
            Support(
                chunk=index,
                start=each.start,
                end=each.end,
                text=mine.text[each.start : each.end],
                kind=each.kind,
                score=float(score),
                mass=float(mass),
                id=span_id(digest, each.start, each.end),
            )
            for each, mass, score in zip(mine.segments, mine.masses, mine.scores, strict=True)
            if each.kind != "heading"
        ]
    return sorted(found, key=lambda span: -span.score)
