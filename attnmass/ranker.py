"""The public entry: a model, and questions to its heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import Unpack

from attnmass.engine.asking import Asked, RankOptions
from attnmass.engine.echoing import echoes
from attnmass.engine.looker import Looker
from attnmass.engine.ranked import Ranked
from attnmass.engine.telemetry import spanned
from attnmass.engine.thresholds import check_evidence
from attnmass.engine.verbs import Verbs
from attnmass.layouts import keeps_vectors
from attnmass.models.ambient import alone
from attnmass.options.keywords import names_nearest
from attnmass.options.renamed import check_known
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_queries, check_chunks, read_chunks, read_queries


@names_nearest
class AttentionRanker(Looker, Verbs):
    """Ranks chunks by the attention that a query pays them inside a transformer.

    One instance may be called from many threads; its model is used by one at a time.

    Example:
        >>> ranker = AttentionRanker.from_pretrained("smollm2-135m")
        >>> ranking = ranker.rank("Who wrote Hamlet?", ["Paris is a city.", "Shakespeare did."])
        >>> ranking.chunks[0].index
        1
    """

    @spanned
    @alone
    def rank_batch(
        self,
        queries: Sequence[str],
        chunks: Sequence[str | Chunk],
        **options: Unpack[RankOptions],
    ) -> list[Ranking]:
        """Rank one set of chunks for several queries; the chunks are read once.

        Options, errors: as in `rank`.

        Returns:
            One ranking for each query.
        """
        asked = Asked(**options)
        ranked = self._ranked(queries, chunks, asked)
        if ranked is None:
            return []
        trim = asked.trim
        if trim is None:
            rankings = ranked.rankings(asked)
        else:
            rankings = self._trimmer.trim(ranked, asked, trim)
        rankings = ranked.timed(rankings, trimmed=trim is not None)
        check_evidence(rankings, asked, self._profile)
        return rankings

    @spanned
    @alone
    def rank_spans(
        self,
        queries: Sequence[str],
        chunks: Sequence[str | Chunk],
        *,
        spans: bool = True,
        language: str | None = None,
        leaning: bool = False,
        **options: Unpack[RankOptions],
    ) -> list[ScoredRanking]:
        """Rank one set of chunks, and score all their spans, to choose among them elsewhere.

        `attnmass.client.RemoteRanker` does that, where the reader's tokenizer and templates are.

        Args:
            queries: As in `rank_batch`.
            chunks: Likewise.
            spans: Whether spans are scored.
            language: As in `Trim`.
            leaning: Whether to tell what spans lean on, as `Trim.resolve_context` needs.
            **options: As in `rank`; those that cut or order the result have no effect.

        Returns:
            One for each query, whose ranking has all chunks, best first.

        Raises:
            ValueError, TypeError, CaptureError: As `rank`.
        """
        check_known(options, [*RankOptions.__annotations__, "spans", "language", "leaning"])
        asked = Asked(**options).uncut
        ranked = self._ranked(queries, chunks, asked)
        if ranked is None:
            return []
        rankings = ranked.rankings(asked)
        if not spans:
            return [ScoredRanking(each, {}, {}, {}) for each in ranked.timed(rankings)]
        scored = self._trimmer.spans(ranked, rankings, language=language, leaning=leaning)
        timed = ranked.timed(rankings, trimmed=True)
        return [replace(one, ranking=ranking) for one, ranking in zip(scored, timed, strict=True)]

    def _ranked(
        self, queries: Sequence[str], chunks: Sequence[str | Chunk], asked: Asked
    ) -> Ranked | None:
        """Read the chunks, and look at them for each query; `None` if there is no query."""
        started = time.perf_counter()
        queries = as_queries(queries)
        check_chunks(chunks)
        if not queries:
            return None
        asked.check(len(chunks))
        bounds = replace(self._options, query_rows=asked.query_words)
        if asked.batch_size is not None:
            bounds = replace(bounds, batch_size=asked.batch_size)
        lazily = keeps_vectors(self._profile.layout)
        inputs = read_chunks(chunks, self._plain, lazily=lazily)
        read = read_queries(queries, self._plain)
        tokenized = time.perf_counter()
        self._tally.add(tokenize_seconds=tokenized - started)
        show = self._progress if asked.progress is None else asked.progress
        bounds = replace(bounds, ignored=tuple(echoes(query, inputs) for query in queries))
        result = self._attend(read, inputs.distinct, bounds, show)
        if asked.query_words and inputs.tokens and result.queries[0].rows is None:
            raise ValueError(
                f"the layout {self._profile.layout!r} does not tell where each word of the query "
                "looked: leave out query_words"
            )
        return Ranked(
            queries, read, inputs, result, bounds, self._profile, self._rank_by, started, tokenized
        )
