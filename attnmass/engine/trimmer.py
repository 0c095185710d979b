"""Between a ranking and the pure functions that trim it: what they need of tokens and model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from attnmass.engine.asking import Asked
from attnmass.engine.choosing import Call
from attnmass.engine.leaning import Leaner
from attnmass.engine.looks import Look, Texts
from attnmass.engine.thresholds import least_relevance
from attnmass.layouts import LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.text.inputs import Inputs
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import TokenCounter, Trim
from attnmass.trimming.embedding import Embedder


class Trimmer:
    """Trims rankings of one ranker."""

    def __init__(self, profile: HeadProfile, plain: PlainTokenizer, leaner: Leaner) -> None:
        """Bind to a ranker's parts.

        Args:
            profile: The heads that are read.
            plain: The tokenizer.
            leaner: Looks inside chunks.
        """
        self._profile = profile
        self._plain = plain
        self._leaner = leaner

    @cached_property
    def _own_count(self) -> TokenCounter:
        """Counts the ranking model's tokens; copied once something is trimmed."""
        return TokenCounter(self._plain.as_reader())

    def trim(
        self,
        rankings: Sequence[Ranking],
        inputs: Inputs,
        attention: Sequence[QueryAttention],
        asked: Asked,
        trim: Trim,
        options: LayoutOptions,
        wholes: Sequence[Ranking] | None = None,
    ) -> list[Ranking]:
        """Rankings of one set of chunks with their chunks trimmed.

        Args:
            rankings: As whole chunks gave them.
            inputs: What they were made of.
            attention: That of each query, on the chunks that were read.
            asked: All that was asked for.
            trim: What of it is about trimming.
            options: Bounds on a forward pass.
            wholes: For a dry run the rankings that nothing was cut from: on these it is told what
                would be done, and what would be raised.

        Raises:
            BudgetError, PatternError: As `Call.trimmed`.
        """
        texts = self._texts(inputs, options, trim.language, trim.embedder)
        call = self._call(texts, asked, trim)
        looks = [
            Look(texts, looked, ranking.scores, ranking.query)
            for ranking, looked in zip(rankings, attention, strict=True)
        ]
        if wholes is None:
            return [call.trimmed(*each) for each in zip(rankings, looks, strict=True)]
        return [call.tried(*each) for each in zip(wholes, rankings, looks, strict=True)]

    def spans(
        self,
        rankings: Sequence[Ranking],
        inputs: Inputs,
        attention: Sequence[QueryAttention],
        options: LayoutOptions,
        *,
        language: str | None,
        leaning: bool,
    ) -> list[ScoredRanking]:
        """The scores of all spans, of which none is chosen.

        Args:
            rankings: As in `trim`.
            inputs: Likewise.
            attention: Likewise.
            options: Likewise.
            language: Of the split into sentences; `None` is by script.
            leaning: Whether it is told what spans lean on.
        """
        texts = self._texts(inputs, options, language)
        found = []
        for ranking, looked in zip(rankings, attention, strict=True):
            look = Look(texts, looked, ranking.scores, ranking.query)
            scored = look.scored(list(inputs.tokens))
            every = [each for each in (*ranking.chunks, *ranking.dropped) if each.index in scored]
            found.append(
                ScoredRanking(
                    ranking,
                    scored,
                    {index: look.bound(index) for index in scored},
                    look.leaning(every, scored) if leaning else {},
                )
            )
        return found

    def _texts(
        self,
        inputs: Inputs,
        options: LayoutOptions,
        language: str | None,
        embedder: Embedder | None = None,
    ) -> Texts:
        return Texts(self._profile, self._leaner, inputs, options, language, embedder)

    def _call(self, texts: Texts, asked: Asked, trim: Trim) -> Call:
        return Call(
            chunks=texts.inputs.chunks,
            read=tuple(texts.inputs.tokens),
            segments=texts.segments,
            asked=asked,
            trim=trim,
            count=trim.counter or self._own_count,
            least=least_relevance(asked, self._profile),
        )
