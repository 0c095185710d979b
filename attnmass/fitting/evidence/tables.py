"""What relevance is fitted on: each query's own chunks and others, beside the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnmass.fitting.captures.capture import chunks_of
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.metrics import Bools, Floats
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.profiles.relevance import log_mass
from attnmass.profiles.texts import ordinary_rarity
from attnmass.scoring.evidence import covered
from attnmass.text.prompt import chunk_text
from attnmass.text.words import QueryWords


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """One query's chunks: its own and others.

    Attributes:
        features: `[chunk, head + 1]`: logarithms of masses, then the query's words last.
        labels: Which are relevant, `[chunk]`.
        own: Which are the query's own.
        spans: Features of labelled sentences, `[span, head + 1]`.
        span_labels: Which of them support the answer.
        words: The query's.
        found: Which of them each chunk says, as `QueryWords.found`.
    """

    features: Floats
    labels: Bools
    own: Bools
    spans: Floats
    span_labels: Bools
    words: QueryWords
    found: Sequence[int]

    @property
    def other(self) -> Bools:
        """Which belong to other queries."""
        return ~self.own

    @property
    def weights(self) -> Floats:
        """The weight of each chunk, `[chunk]`."""
        found = np.zeros(len(self.labels))
        for some, weight in (
            (self.labels, 1.0),
            (self.own & ~self.labels, 0.5),
            (self.other, 0.5),
        ):
            found[some] = weight / max(1, int(some.sum()))
        return found

    @classmethod
    def of(cls, query: LabelledQuery, beside: LabelledQuery, capture: Capture) -> Table:
        """From what was captured.

        Args:
            query: With its own chunks.
            beside: The same with others after them.
            capture: That of `beside`.
        """
        words = QueryWords(query.query, ordinary_rarity())
        n, n_heads = len(beside.chunks), capture.masses.shape[0]
        labels = np.zeros(n, dtype=bool)
        labels[: len(query.chunks)] = [label > 0 for label in query.relevant]
        told = [
            (label, chunk.text[start:end])
            for chunk in query.chunks
            for start, end, label in chunk.sentences or ()
        ]
        spans = capture.span_masses
        if spans is None or spans.shape[1] != len(told):
            spans, told = np.zeros((n_heads, 0)), []
        found = [words.found(chunk_text(chunk)) for chunk in chunks_of(beside)]
        return cls(
            _features(capture.masses.T, [words.share(one) for one in found]),
            labels,
            np.arange(n) < len(query.chunks),
            _features(spans.T, [words.said(text) for _, text in told]),
            np.array([label for label, _ in told], dtype=bool),
            words,
            found,
        )

    def evidence(self, each: Floats, some: Bools, threshold: float, coverage: float) -> float:
        """Evidence of some of its own chunks together, see `attnmass.scoring.evidence.covered`.

        Args:
            each: That of each of its own chunks, which come first, `[chunk]`.
            some: Which of them are candidates, `[chunk]`.
            threshold: That of evidence.
            coverage: The exponent.
        """
        found = [one for one, mine in zip(self.found, some.tolist(), strict=False) if mine]
        return covered(each[some].tolist(), found, threshold, self.words.by_pairs, coverage)


def _features(masses: Floats, words: list[float]) -> Floats:
    found = np.vectorize(log_mass, otypes=[np.float64])(masses).reshape(masses.shape)
    return np.concatenate([found, np.array(words, dtype=np.float64)[:, None]], axis=1)
