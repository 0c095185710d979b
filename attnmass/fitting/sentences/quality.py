"""Labelled sentences, and how well a way to score them shows which support the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from attnmass.fitting.captures.arrays import Choice
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.metrics import Bools, Floats, Integers, auc
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.sentences.shares import Lesson, features, shares_of
from attnmass.fitting.shares.ranking import Exponents
from attnmass.text.segmentation import segment

_LEAST = 1e-12


@dataclass(frozen=True, eq=False, slots=True)
class Spans:
    """One query's labelled sentences.

    Attributes:
        masses: `[head, span]`.
        tokens: `[span]`.
        chunk_scores: Score of each sentence's chunk, `[span]`.
        labels: Which of them support the answer, `[span]`.
        chunks: Which chunk each is in, `[span]`.
        parts: The sentences of each chunk in which some support it and some do not.
    """

    masses: Floats
    tokens: Floats
    chunk_scores: Floats
    labels: Bools
    chunks: Integers
    parts: tuple[Integers, ...]


def spans_of(
    query: LabelledQuery, capture: Capture, chunk_choice: Choice, rule: Exponents | None = None
) -> Spans | None:
    """A query's sentences; `None` if no labels tell any sentences of a chunk apart.

    Headings are left out: trimming does not choose them in their own right.

    Args:
        query: The query, its sentences labelled.
        capture: What was captured of it.
        chunk_choice: The heads that give chunks their mass.
        rule: How that mass is shared out, if it is.
    """
    if not query.has_sentences or capture.span_masses is None or capture.span_tokens is None:
        return None
    labels, chunks, body = [], [], []
    for number, chunk in enumerate(query.chunks):
        headings = {(s.start, s.end) for s in segment(chunk.text) if s.kind == "heading"}
        for start, end, label in chunk.sentences or ():
            labels.append(label)
            chunks.append(number)
            body.append((start, end) not in headings)
    wanted, places = np.array(labels, dtype=bool)[body], np.array(chunks, dtype=np.int64)[body]
    parts = [np.flatnonzero(places == number) for number in sorted(set(chunks))]
    told = tuple(part for part in parts if wanted[part].any() and not wanted[part].all())
    if not told:
        return None
    weights = np.array(chunk_choice.weights)
    masses = weights @ capture.beyond_null[list(chunk_choice.heads)].astype(np.float64)
    scores = np.maximum(masses, 0)
    if rule is not None:
        scores = rule.share_out(scores, capture.masses)
    masses, tokens = capture.span_masses[:, body], capture.span_tokens[body]
    return Spans(masses, tokens, scores[places], wanted, places, told)


@dataclass(eq=False, slots=True)
class SpanQuality:
    """Area under ROC of choices on every query; what was computed once is remembered."""

    queries: Sequence[Spans]
    _known: dict[tuple[int, ...], Floats] = field(default_factory=dict)
    _features: dict[tuple[int, ...], list[Floats]] = field(default_factory=dict)

    def inside(self, heads: Sequence[int]) -> Floats:
        """Inside supporting chunks, by heads weighted equally, `[query]`."""
        key = tuple(sorted(heads))
        if key not in self._known:
            found = [_inside(one, one.masses[list(key)].mean(axis=0)) for one in self.queries]
            self._known[key] = np.array(found, dtype=np.float64)
        return self._known[key]

    def weighed(self, choice: Choice) -> Floats:
        """Inside supporting chunks, by heads and weights, `[query]`."""
        weights = np.array(choice.weights)
        heads = list(choice.heads)
        return np.array([_inside(one, weights @ one.masses[heads]) for one in self.queries])

    def alone(self) -> Floats:
        """The same for each head alone, `[head, query]`."""
        return np.stack([np.asarray(_inside(one, one.masses)) for one in self.queries], axis=1)

    def by_weights(self, choice: Choice) -> list[Floats]:
        """What the score of each sentence is made from, by heads and weights, `[query][span]`."""
        heads, weights = list(choice.heads), np.array(choice.weights)
        return [weights @ one.masses[heads] for one in self.queries]

    def by_exponents(self, rule: Exponents) -> list[Floats]:
        """The same, by its share of its chunk."""
        exponents = np.array(rule.exponents)
        return [
            shares_of(exponents @ rows, one.chunks)
            for rows, one in zip(self.features(rule.heads), self.queries, strict=True)
        ]

    def features(self, heads: Sequence[int]) -> list[Floats]:
        """What exponents apply to, `[query][head, span]`."""
        key = tuple(heads)
        if key not in self._features:
            self._features[key] = [
                features(one.masses[list(key)], one.chunks) for one in self.queries
            ]
        return self._features[key]

    def lessons(self, heads: Sequence[int]) -> list[list[Lesson]]:
        """What exponents are fitted on, for each query."""
        return [
            [(rows[:, part], one.labels[part]) for part in one.parts]
            for rows, one in zip(self.features(heads), self.queries, strict=True)
        ]

    def overall(
        self, found: Sequence[Floats], shape: tuple[float, float], rows: Integers
    ) -> Floats:
        """Over all sentences, as trimming orders them, of some queries, `[row]`.

        Args:
            found: From `by_weights` or `by_exponents`.
            shape: Length exponent and chunk share.
            rows: Indices of queries.
        """
        exponent, share = shape
        values = []
        for row in rows.tolist():
            one = self.queries[row]
            by_length = np.maximum(found[row], _LEAST) / np.maximum(one.tokens, 1.0) ** exponent
            chunk = np.maximum(one.chunk_scores, _LEAST)
            values.append(auc(one.labels, by_length ** (1 - share) * chunk**share))
        return np.array(values, dtype=np.float64)


def _inside(one: Spans, mass: Floats) -> Floats:
    """Mean over chunks, `[..., span]` to `[...]`; as in trimming, long sentences get less."""
    scores = mass / np.sqrt(np.maximum(one.tokens, 1.0))
    found = [auc(one.labels[part], scores[..., part]) for part in one.parts]
    return np.asarray(np.mean(found, axis=0))
