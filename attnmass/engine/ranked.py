"""What one call saw of the chunks, and the rankings of whole chunks that are made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from attnmass.engine.asking import Asked
from attnmass.engine.notes import DISTANCES, notes_on
from attnmass.engine.thresholds import least_relevance, threshold_of
from attnmass.engine.tracing import trace
from attnmass.engine.words import Said, words_found, words_said
from attnmass.layouts import LayoutOptions, LayoutResult, QueryAttention
from attnmass.options.checks import finite
from attnmass.options.choices import RankBy
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.evidence import covered, evidence_of, may_be_cosine
from attnmass.scoring.fusing import retrieved
from attnmass.scoring.masses import chunk_scores, head_masses, relevances, stability
from attnmass.scoring.selection import Parts, cut, kind_of, rank
from attnmass.text.inputs import Inputs
from attnmass.text.tokens import Tokens


@dataclass(frozen=True)
class Ranked:
    """What the queries of one call paid its chunks.

    Attributes:
        queries: As the caller passed them.
        read: Their tokens.
        inputs: The chunks.
        result: The attention.
        options: Bounds on a forward pass.
        profile: The heads that were read.
        rank_by: What chunks are ordered by.
        started: When the call began, by `time.perf_counter`.
        tokenized: When all were tokens.
        attended: When the model was done.
    """

    queries: Sequence[str]
    read: Sequence[Tokens]
    inputs: Inputs
    result: LayoutResult
    options: LayoutOptions
    profile: HeadProfile
    rank_by: RankBy
    started: float
    tokenized: float
    attended: float = field(default_factory=time.perf_counter)

    @property
    def attention(self) -> Sequence[QueryAttention]:
        """That of each query."""
        return self.result.queries

    @cached_property
    def _n_windows(self) -> dict[int, int]:
        return {index: self.result.windows[place] for index, place in self.inputs.places.items()}

    def rankings(self, asked: Asked) -> list[Ranking]:
        """A ranking of whole chunks for each query, untimed and without notes."""
        each = zip(self.queries, self.read, self.attention, self.options.ignored, strict=True)
        return [self._ranking(asked, *one) for one in each]

    def _ranking(
        self,
        asked: Asked,
        query: str,
        tokens: Tokens,
        attention: QueryAttention,
        ignored: Mapping[int, Sequence[int]],
    ) -> Ranking:
        """What one query's attention says; `ignored` as in `LayoutOptions`, for this query."""
        inputs, profile, n_windows = self.inputs, self.profile, self._n_windows
        shares, masses = chunk_scores(attention, profile)
        said = words_said(query, inputs, profile)
        likely = relevances(attention, profile, None if said is None else said.shares)
        logits = attention.logits
        parts = {
            index: Parts(
                mass=masses[place],
                share=shares[place],
                n_tokens=len(inputs.tokens[index]),
                n_windows=n_windows[index],
                relevance=None if likely is None else likely[place],
                logit=None if logits is None else logits[place],
                text=place,
                echoes=place in ignored and len(ignored[place]) == len(inputs.tokens[index]),
            )
            for index, place in inputs.places.items()
        }
        notes: tuple[str, ...] = ()
        if likely is None:
            evidence = self._by_masses(attention, masses)
        else:
            evidence = self._by_relevance(likely, said, asked, ignored)
            notes = (DISTANCES,) if self._has_distances(asked, shares) else ()
        threshold = threshold_of(asked, profile)
        no_evidence = threshold is not None and evidence < threshold
        ranked = rank(
            asked,
            inputs.chunks,
            parts,
            inputs.skipped,
            self.rank_by,
            profile.fuse_rule,
            words=words_found(query, inputs, asked, profile),
            knows_relevance=profile.relevance is not None,
        )
        scores = {chunk.index: chunk.score for chunk in ranked}
        silenced = no_evidence and bool(masses)  # what cannot be read is passed on
        kept, dropped = cut(asked, ranked, silenced, least_relevance(asked, profile))
        return Ranking(
            query=query,
            chunks=tuple(kept),
            scores=tuple(scores[index] for index in range(len(inputs.chunks))),
            profile=profile,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            evidence=evidence,
            no_evidence=no_evidence,
            dropped=tuple(dropped),
            notes=notes,
            trace=trace(query, tokens, inputs, attention, threshold),
            stability=stability(attention, profile),
        )

    def _by_relevance(
        self,
        likely: Sequence[float],
        said: Said | None,
        asked: Asked,
        ignored: Mapping[int, Sequence[int]],
    ) -> float:
        """Evidence by each text's relevance, and by the retriever's scores where they are fused.

        The score of a text that repeats the question is left aside: it is of the question. Where
        the profile says so, the words that two texts say together count as well.
        """
        scores = asked.retrieval_scores if asked.fuse else None
        places = self.inputs.places
        given = [
            None if scores is None or place in ignored else finite(scores[index])
            for index, place in places.items()
        ]
        relevance = [likely[place] for place in places.values()]
        each = evidence_of(relevance, given, kind_of(asked), self.profile.fuse_rule)
        rule = self.profile.relevance
        if said is None or rule is None or not rule.coverage or rule.evidence_threshold is None:
            return max(each, default=0.0)
        found = [said.found[place] for place in places.values()]
        by_pairs, threshold = said.words.by_pairs, rule.evidence_threshold
        return covered(each, found, threshold, by_pairs, rule.coverage)

    def _has_distances(self, asked: Asked, shares: Sequence[float]) -> bool:
        """Whether evidence counts what the order takes for distances, as nobody said that they are.

        What evidence counts cannot depend on the order, or a further chunk could lower it.
        """
        rule, given = self.profile.fuse_rule, asked.retrieval_scores
        if rule is None or rule.evidence is None or given is None or kind_of(asked) != "auto":
            return False
        scores = [finite(given[index]) for index in self.inputs.places]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores) or not any(map(may_be_cosine, known)):
            return False
        attention = [shares[place] for place in self.inputs.places.values()]
        return retrieved(known, attention, "auto").turned

    def _by_masses(self, attention: QueryAttention, masses: Sequence[float]) -> float:
        """Evidence where no relevance is known, by the masses of all texts."""
        rule, known = self.profile.evidence, self.profile.all_heads
        by_head = head_masses(attention, [known.index(head) for head in rule.heads])
        return rule(masses, [len(tokens) for tokens in self.inputs.distinct], by_head)

    def timed(self, rankings: Sequence[Ranking], *, trimmed: bool = False) -> list[Ranking]:
        """Rankings that are done, with the time that they took and notes on all chunks.

        Args:
            rankings: One for each query.
            trimmed: Whether spans were scored.
        """
        ended = time.perf_counter()
        timings = Timings(
            tokenize=self.tokenized - self.started,
            encode=self.result.encode_seconds,
            query=self.result.query_seconds,
            total=ended - self.started,
            trim=ended - self.attended if trimmed else 0.0,
        )
        notes = (*self.result.notes, *notes_on(self._n_windows, self.inputs.skipped))
        return [replace(each, timings=timings, notes=(*notes, *each.notes)) for each in rankings]
