"""Between a ranking and the pure functions that trim it: what they need of tokens and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from attnmass.engine.asking import Asked
from attnmass.engine.choosing import Call
from attnmass.engine.leaning import Leaner
from attnmass.engine.ranking import least_relevance
from attnmass.layouts import LayoutOptions, QueryAttention
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking
from attnmass.results.saving import Saving
from attnmass.text.inputs import Inputs
from attnmass.text.prompt import chunk_text
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import BudgetError, PatternError, TokenCounter, Trim


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
    ) -> list[Ranking]:
        """Rankings of one set of chunks with their chunks trimmed.

        Args:
            rankings: As whole chunks gave them.
            inputs: What they were made of.
            attention: That of each query, on the chunks that were read.
            asked: All that was asked for.
            trim: What of it is about trimming.
            options: Bounds on a forward pass.

        Raises:
            BudgetError: If no span, or not all that must stay, fits into the budget, and `on_empty`
                is `"raise"`; a `ValueError`.
            PatternError: If a pattern takes too long; a `ValueError`.
        """
        call = self._call(inputs, asked, trim, options)
        return [
            call.trimmed(ranking, looked)
            for ranking, looked in zip(rankings, attention, strict=True)
        ]

    def dry_run(
        self,
        wholes: Sequence[Ranking],
        rankings: Sequence[Ranking],
        inputs: Inputs,
        attention: Sequence[QueryAttention],
        asked: Asked,
        trim: Trim,
        options: LayoutOptions,
    ) -> list[Ranking]:
        """What `trim`, whose arguments these are, would do, told on rankings of all chunks.

        What it would raise is told, too. `wholes` are the rankings that nothing was cut from.
        """
        call = self._call(inputs, asked, trim, options)
        found = []
        for whole, ranking, looked in zip(wholes, rankings, attention, strict=True):
            before = call.n_tokens_before
            try:
                trimmed = call.trimmed(ranking, looked)
                saving = Saving(
                    before, trimmed.n_tokens_after or 0, trimmed.chunks, trimmed.dropped
                )
                notes = trimmed.notes
            except (BudgetError, PatternError) as error:
                saving, notes = Saving(before, before, whole.chunks, (), str(error)), ()
            found.append(
                replace(
                    whole,
                    n_tokens_before=before,
                    n_tokens_after=before,
                    saving=saving,
                    notes=(*notes, str(saving)),
                )
            )
        return found

    def _call(self, inputs: Inputs, asked: Asked, trim: Trim, options: LayoutOptions) -> Call:
        def as_read(index: int, text: str) -> str:
            return chunk_text(replace(inputs.chunks[index], text=text))

        return Call(
            profile=self._profile,
            leaner=self._leaner,
            inputs=inputs,
            asked=asked,
            trim=trim,
            options=options,
            count=trim.counter or self._own_count,
            render=asked.render or as_read,
            least=least_relevance(asked, self._profile),
        )
