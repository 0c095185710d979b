"""Whether a profile delivers what it promises, on labelled queries."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attnmass.fitting.captures.capture import bar_of, chunks_of, with_place
from attnmass.fitting.metrics import interval, ndcg_at_10
from attnmass.fitting.queries.bm25 import bm25, check_installed
from attnmass.fitting.queries.data import LabelledData, Source, read_data
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.reports.report import Difference, Score, score_of
from attnmass.fitting.selection import check_elsewhere
from attnmass.fitting.subject import open_model
from attnmass.layouts import QueryAttention
from attnmass.options.declared import PointwiseReading
from attnmass.profiles import HeadProfile, load_profile
from attnmass.ranker import AttentionRanker
from attnmass.scoring.masses import chunk_scores
from attnmass.text.prompt import chunk_text


@dataclass(frozen=True, slots=True)
class Verification:
    """A profile's quality on labelled queries.

    Attributes:
        profile: The profile.
        model: The model that it was tried with.
        data: How many queries each set has.
        scores: nDCG@10 of the profile, the mid-depth default and BM25.
        differences: By how much the profile is better than the other two.
        notes: What a reader should know, in sentences.
    """

    profile: HeadProfile
    model: str
    data: dict[str, int]
    scores: tuple[Score, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the profile is better than both."""
        return all(one.better for one in self.differences)


def verify_profile(
    profile: HeadProfile | str | os.PathLike[str],
    data: Source | Sequence[str | os.PathLike[str]] | LabelledData,
    *,
    model: Any = None,
    tokenizer: Any = None,
    progress: bool | None = None,
    **options: Any,
) -> Verification:
    """Rank labelled queries by a profile, by the mid-depth default and by BM25.

    Args:
        profile: A profile or the path of one.
        data: As in `fit_profile`; queries that did not select the heads.
        model: Default: the profile's.
        tokenizer: As in `fit_profile`.
        progress: Likewise.
        **options: Likewise.

    Raises:
        DataError: If the data cannot be used; names file and line.
        ImportError: If rank-bm25 is not installed.
        ValueError: If the profile is for another model, or is not one.
        AttnMassError: As `AttentionRanker.from_pretrained`.
    """
    check_elsewhere(options)
    check_installed()
    if not isinstance(profile, HeadProfile):
        profile = load_profile(profile)
    labelled = read_data(data)
    subject = open_model(
        profile.model if model is None else model, tokenizer, profile=profile, **options
    )
    default = subject.default
    ranking = () if profile.ranking is None else profile.ranking.heads
    both = sorted({*profile.heads, *ranking, *default.heads})
    reading = None if profile.direction is None else PointwiseReading(direction=profile.direction)
    ranker = subject.ranker(heads=both, **{"reading": reading, **subject.options})
    values: dict[str, list[float]] = {"profile": [], "mid-depth default": [], "bm25": []}
    with bar_of(len(labelled.queries), "Reading queries", progress) as bar:
        for query in labelled.queries:
            found = with_place(query, lambda one: _attention(ranker, one))
            by_name = {
                "profile": _masses(found, both, profile),
                "mid-depth default": _masses(found, both, default),
                "bm25": bm25(query.query, [chunk_text(chunk) for chunk in chunks_of(query)]),
            }
            for name, scores in by_name.items():
                values[name].append(_ndcg(query, scores))
            bar.update()
    arrays = {name: np.array(found) for name, found in values.items()}
    ours = arrays["profile"]
    return Verification(
        profile,
        subject.name,
        labelled.counts,
        tuple(score_of(name, found, labelled.sets) for name, found in arrays.items()),
        tuple(
            Difference(name, interval(ours - found, labelled.sets))
            for name, found in arrays.items()
            if name != "profile"
        ),
        labelled.notes,
    )


def _attention(ranker: AttentionRanker, query: LabelledQuery) -> QueryAttention:
    return ranker.attention(query.query, chunks_of(query))


def _masses(
    found: QueryAttention, heads: Sequence[tuple[int, int]], profile: HeadProfile
) -> list[float]:
    """What rankings by the profile give, from the attention of more heads than its own."""
    if not profile.null_query:
        found = replace(found, null=None)
    return chunk_scores(found, profile, heads)[0]


def _ndcg(query: LabelledQuery, scores: Any) -> float:
    relevant = np.array([query.relevant])
    return float(ndcg_at_10(relevant, np.array([scores]), np.ones(relevant.shape, dtype=bool))[0])
