"""Between a ranking and the pure functions that trim it: what they need of tokens and model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attnmass.engine.asking import Asked
from attnmass.engine.choosing import Call
from attnmass.engine.leaning import Leaner
from attnmass.engine.looks import Look, Texts
from attnmass.engine.ranked import Ranked
from attnmass.engine.thresholds import least_relevance
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import TokenCounter, Trim
from attnmass.trimming.embedding import Embedder


class Trimmer:
    """Trims rankings of one ranker."""

    def __init__(self, profile: HeadProfile, plain: PlainTokenizer, leaner: Leaner) -> None:
        """Bind to a ranker's parts."""
        self._profile = profile
        self._plain = plain
        self._leaner = leaner

    @cached_property
    def _own_count(self) -> TokenCounter:
        """Counts the ranking model's tokens; copied once something is trimmed."""
        return TokenCounter(self._plain.as_reader())

    def trim(self, ranked: Ranked, asked: Asked, trim: Trim) -> list[Ranking]:
        """Rankings of one call with their chunks trimmed.

        In a dry run these are rankings that nothing was cut from, and it is told on them what would
        be done, and what would be raised.

        Raises:
            BudgetError, PatternError: As `Call.trimmed`.
        """
        rankings = ranked.rankings(asked)
        texts = self._texts(ranked, trim.language, trim.embedder)
        call = Call(
            chunks=ranked.inputs.chunks,
            read=tuple(ranked.inputs.tokens),
            segments=texts.segments,
            asked=asked,
            trim=trim,
            count=trim.counter or self._own_count,
            least=least_relevance(asked, self._profile),
        )
        looks = _looks(texts, ranked, rankings)
        if not trim.dry_run:
            return [call.trimmed(*each) for each in zip(rankings, looks, strict=True)]
        wholes = ranked.rankings(asked.uncut)
        return [call.tried(*each) for each in zip(wholes, rankings, looks, strict=True)]

    def spans(
        self, ranked: Ranked, rankings: Sequence[Ranking], *, language: str | None, leaning: bool
    ) -> list[ScoredRanking]:
        """The scores of all spans, of which none is chosen.

        Args:
            ranked: What the call saw of the chunks.
            rankings: That is made of it.
            language: Of the split into sentences; `None` is by script.
            leaning: Whether it is told what spans lean on.
        """
        looks = _looks(self._texts(ranked, language), ranked, rankings)
        found = []
        for ranking, look in zip(rankings, looks, strict=True):
            scored = look.scored(list(ranked.inputs.tokens))
            every = [each for each in (*ranking.chunks, *ranking.dropped) if each.index in scored]
            bounds = {index: look.bound(index) for index in scored}
            leans = look.leaning(every, scored) if leaning else {}
            found.append(ScoredRanking(ranking, scored, bounds, leans))
        return found

    def _texts(
        self, ranked: Ranked, language: str | None, embedder: Embedder | None = None
    ) -> Texts:
        inputs, options = ranked.inputs, ranked.options
        return Texts(self._profile, self._leaner, inputs, options, language, embedder)


def _looks(texts: Texts, ranked: Ranked, rankings: Sequence[Ranking]) -> list[Look]:
    return [
        Look(texts, looked, ranking.scores, ranking.query)
        for ranking, looked in zip(rankings, ranked.attention, strict=True)
    ]
