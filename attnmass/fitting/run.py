"""One fit: capture, select, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attnmass.capture import Head
from attnmass.fitting.captures.arrays import Arrays, Choice, Quality
from attnmass.fitting.captures.capture import (
    bar_of,
    capture_all,
    chunks_of,
    look_at_heads,
)
from attnmass.fitting.captures.store import Capture, Store
from attnmass.fitting.evidence.telling import fit_told
from attnmass.fitting.heads.crossval import Config, CrossValidation, split_folds
from attnmass.fitting.heads.methods import MADE, Task, likelihood
from attnmass.fitting.metrics import Floats, Integers, interval
from attnmass.fitting.queries.bm25 import bm25
from attnmass.fitting.queries.data import LabelledData
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.reports import facts
from attnmass.fitting.reports.report import FitReport, Point, Score, score_of
from attnmass.fitting.reports.result import FitResult
from attnmass.fitting.selection import HeadSelection
from attnmass.fitting.sentences.quality import spans_of
from attnmass.fitting.sentences.spans import SpanFit, fit_where_told, span_rule_of
from attnmass.fitting.shares.key_heads import MOST as MOST_KEY_HEADS
from attnmass.fitting.shares.key_heads import choose_key_heads, numbered
from attnmass.fitting.shares.ranking import (
    RankingFit,
    Sharing,
    held_out_shares,
    without_rule,
)
from attnmass.fitting.shares.sharing import Heads as SharingHeads
from attnmass.fitting.shares.sharing import fit_sharing
from attnmass.fitting.subject import Subject
from attnmass.layouts import keeps_vectors
from attnmass.models.sizes import fingerprint, key_head_of
from attnmass.profiles import HeadProfile, RankRule
from attnmass.ranker import AttentionRanker
from attnmass.text.prompt import chunk_text

_CUTOFFS = 10  # points of the curve over layers


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """One run over one model and its data."""

    data: LabelledData
    subject: Subject
    heads: tuple[Head, ...]
    folder: Path
    progress: bool | None
    most_key_heads: int = MOST_KEY_HEADS
    reader: AttentionRanker | None = None  # over all heads; default: its own

    def __call__(self, selection: HeadSelection, methods: Sequence[str]) -> FitResult:
        """Capture, select, judge; the methods are those that take part."""
        most, max_layer = selection.max_heads, selection.max_layer
        n_folds = min(selection.folds, len(self.data.queries))
        ranker = self.reader or self.subject.reader(self.heads)
        look = look_at_heads(ranker, self.subject.plain)
        captured = self._capture(
            self.data.queries, look, self.subject.about(self.heads), "Reading heads"
        )
        qualities = self._qualities(captured)
        sets = qualities[False].arrays.sets
        folds = split_folds(sets, n_folds, selection.seed)
        deepest = self.heads[-1][0] if max_layer is None else max_layer
        made = tuple(methods) == MADE
        allowed = self._allowed(qualities[False], folds, deepest, made=made)
        # Queries that are made from texts do not show how few heads would do.
        crossed = CrossValidation(
            qualities, folds, allowed, most, methods, least=most if made else 1
        )
        cutoffs = self._cutoffs(deepest)
        n_selections = crossed.n_selections + len(cutoffs) * n_folds
        with bar_of(n_selections, "Selecting heads", self.progress, unit="fit") as bar:
            crossed.advance = bar.update
            config = crossed.decide()
            choice = crossed.select(config)
            nested, decided = crossed.nested()
            layers = [
                self._layer_point(qualities, folds, layer, config, most, bar.update)
                for layer in cutoffs
            ]
            shared = without_rule(crossed, nested)
            arrays = qualities[False].arrays
            sharing = Sharing(arrays, folds, allowed)
            if selection.rule:
                near = self._up_to(max(layer for layer, _ in self._named(choice)), allowed)
                rule_heads = SharingHeads(near, allowed)
                bar.total = (bar.total or 0) + rule_heads.n_selections(n_folds, made=made)
                shared, sharing = fit_sharing(
                    crossed, arrays, rule_heads, nested, bar.update, made=made
                )
            shares = held_out_shares(crossed, sharing, shared)
        scores = self._scores(qualities, shared.nested, nested, max_layer)
        differences = facts.differences(shared.nested, self._baselines(qualities), self.data.sets)
        if made:  # BM25 finds a sentence's paragraph better than it finds answers to questions
            differences = tuple(one for one in differences if one.other != "bm25")
        span_fit = self._spans(captured, folds, sets, allowed, choice, shared, most)
        profile = self._profile(config, choice, shared, span_fit, ranker.profile)
        told = fit_told(
            self.subject,
            self.data.queries,
            profile,
            self._capture,
            folds,
            shares,
            selection.seed,
            with_evidence=selection.evidence,
        )
        report = FitReport(
            model=self.subject.name,
            fingerprint=fingerprint(self.subject.config),
            layout=self.subject.layout,
            data=self.data.counts,
            folds=n_folds,
            heads=profile.heads,
            weights=profile.weights,
            method=config.method,
            null_query=config.null_query,
            scores=tuple(scores),
            differences=differences,
            heads_curve=tuple(facts.heads_curve(crossed)),
            layers_curve=tuple(layers),
            folds_chose=tuple((one.method, self._named(found)) for one, found in decided),
            best_single=facts.best_single(qualities[config.null_query], allowed, self.heads),
            ranking=facts.of_ranking(shared, profile.ranking, sets),
            spans=None if span_fit is None else facts.of_spans(span_fit, self.heads),
            evidence=None if told.evidence is None else facts.of_evidence(told.evidence),
            relevance=None if told.relevance is None else facts.of_relevance(told.relevance),
            fusing=facts.of_fusing(told.fusing, told.fused_evidence),
            notes=facts.notes(self.data, null_query=config.null_query),
        )
        return FitResult(told.into(profile, facts.measured(report)), report)

    def _capture(
        self,
        queries: Sequence[LabelledQuery],
        look: Callable[[LabelledQuery], Capture],
        about: dict[str, Any],
        desc: str,
    ) -> list[Capture]:
        store = Store(self.folder, about)
        return capture_all(queries, look, store, desc=desc, progress=self.progress)

    def _qualities(self, captured: Sequence[Capture]) -> dict[bool, Quality]:
        """What was captured, as arrays, with and without the null query's mass subtracted."""
        relevant = [query.relevant for query in self.data.queries]
        names = list(self.data.counts)
        sets = [names.index(name) for name in self.data.sets]
        lexical = [
            bm25(query.query, [chunk_text(chunk) for chunk in chunks_of(query)])
            for query in self.data.queries
        ]
        found = {False: [one.masses for one in captured]}
        if captured[0].null is not None:
            found[True] = [one.beyond_null for one in captured]
        return {
            null_query: Quality(Arrays.stack(masses, relevant, lexical, sets))
            for null_query, masses in found.items()
        }

    def _up_to(self, layer: int, among: Integers | None = None) -> Integers:
        """Indices of the heads up to a layer, among all or among some."""
        indices = range(len(self.heads)) if among is None else among.tolist()
        return np.array([i for i in indices if self.heads[i][0] <= layer], dtype=np.int64)

    def _allowed(self, quality: Quality, folds: Integers, deepest: int, *, made: bool) -> Integers:
        """Indices of the heads that may be selected; where key vectors are kept, on few key heads.

        For queries that are made from texts, these are the ones with the highest likelihood: chosen
        by elimination, they would be fitted to sentences, and carry over less to questions.
        """
        heads = self._up_to(deepest)
        if not keeps_vectors(self.subject.layout):
            return heads
        groups = numbered([key_head_of(self.subject.config, head) for head in self.heads])
        if not made:
            arrays = quality.arrays
            return choose_key_heads(arrays, folds, heads, groups, self.most_key_heads)
        order = likelihood(quality, Task(np.arange(len(folds)), heads, len(heads)))[-1].heads
        kept = set(list(dict.fromkeys(groups[head] for head in order))[: self.most_key_heads])
        return np.array([head for head in heads if groups[head] in kept], dtype=np.int64)

    def _cutoffs(self, deepest: int) -> list[int]:
        """Layers at which the curve over layers is evaluated."""
        points = np.linspace(0, deepest, min(_CUTOFFS, deepest + 1))
        return sorted({round(float(point)) for point in points})

    def _layer_point(
        self,
        qualities: dict[bool, Quality],
        folds: Integers,
        layer: int,
        config: Config,
        most: int,
        advance: Any,
    ) -> Point:
        """Held-out quality where only heads up to a layer may be selected."""
        heads = self._up_to(layer)
        crossed = CrossValidation(qualities, folds, heads, most, (config.method,), advance)
        values = crossed.held_out(config)
        return Point(layer, config.method, config.null_query, interval(values, crossed.sets))

    def _baselines(self, qualities: dict[bool, Quality]) -> dict[str, Floats]:
        """nDCG@10 of each query by what the profile has to beat."""
        default = self.subject.default
        quality = qualities[default.null_query and True in qualities]
        return {
            "mid-depth default": quality.of_heads([self.heads.index(h) for h in default.heads]),
            "bm25": quality.of_scores(quality.arrays.lexical),
        }

    def _scores(
        self,
        qualities: dict[bool, Quality],
        nested: Floats,
        plain: Floats,
        max_layer: int | None,
    ) -> list[Score]:
        values = {"profile": nested, "its heads alone": plain, **self._baselines(qualities)}
        if max_layer is None:
            quality = qualities[True in qualities]
            values["all heads"] = quality.of_heads(range(len(self.heads)))
        return [score_of(name, found, self.data.sets) for name, found in values.items()]

    def _named(self, choice: Choice) -> tuple[Head, ...]:
        return tuple(self.heads[i] for i in choice.heads)

    def _spans(
        self,
        captured: Sequence[Capture],
        folds: Integers,
        sets: Integers,
        allowed: Integers,
        choice: Choice,
        shared: RankingFit,
        most: int,
    ) -> SpanFit | None:
        """Span heads up to the last layer that ranks; `None` where too few sentences are told."""
        pairs = zip(self.data.queries, captured, strict=True)
        found = [spans_of(query, capture, choice, shared.chosen) for query, capture in pairs]
        deepest = max(layer for layer, _ in self._named(choice))
        return fit_where_told(
            found,
            folds,
            sets,
            [int(i) for i in self._up_to(deepest, allowed)],
            choice,
            most,
            () if shared.chosen is None else shared.chosen.heads,
        )

    def _profile(
        self,
        config: Config,
        choice: Choice,
        shared: RankingFit,
        spans: SpanFit | None,
        reading: HeadProfile,
    ) -> HeadProfile:
        sets = ", ".join(f"{count} queries of {name}" for name, count in self.data.counts.items())
        rule = None if spans is None else span_rule_of(spans, choice, self.heads)
        return HeadProfile(
            self.subject.name,
            self.subject.layout,
            self._named(choice),
            choice.weights,
            fingerprint=fingerprint(self.subject.config),
            source="fitted",
            fitted_on=f"{sets}, by the method {config.method!r}",
            ranking=self._rule(shared),
            spans=rule,
            direction=reading.direction,
            null_query=config.null_query,
        )

    def _rule(self, shared: RankingFit) -> RankRule | None:
        return None if shared.chosen is None else shared.chosen.rule(self.heads)
