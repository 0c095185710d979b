"""The public entry: a model, and questions to its heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import Unpack

from attnmass.engine.asking import Asked, RankOptions, TrimOptions, as_rank_options
from attnmass.engine.echoing import echoes
from attnmass.engine.looker import Looker
from attnmass.engine.ranked import Ranked
from attnmass.engine.telemetry import spanned
from attnmass.engine.thresholds import threshold_of
from attnmass.layouts import keeps_vectors
from attnmass.models.ambient import alone
from attnmass.results.errors import NoEvidenceError
from attnmass.results.ranking import Ranking
from attnmass.results.scored import ScoredRanking
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import check_chunks, check_queries, read_chunks, read_queries


class AttentionRanker(Looker):
    """Ranks chunks by the attention that a query pays them inside a transformer.

    One instance may be called from many threads; its model is used by one at a time.

    Example:
        >>> ranker = AttentionRanker.from_pretrained("smollm2-135m")
        >>> ranking = ranker.rank("Who wrote Hamlet?", ["Paris is a city.", "Shakespeare did."])
        >>> ranking.chunks[0].index
        1
    """

    def rank(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        **options: Unpack[RankOptions],
    ) -> Ranking:
        """Order chunks by the attention that they get from the query, or as `rank_by` says.

        Args:
            query: The question; never truncated.
            chunks: Texts, or `Chunk`s with titles. Empty, blank or non-text ones are not scored:
                they come last with score 0.0.
            **options: See below.

        Options:
            - `top_n`: Keep the best so many; default: all.
            - `min_relevance`: Keep only chunks, and where `trim` asks for spans only spans, of at
              least this relevance, in [0, 1]. `"auto"`, the default, is the profile's where `trim`
              has `max_tokens`, which is a ceiling and no quota; else all are kept, as by `None`.
            - `retrieval_scores`: The retriever's score of each chunk, for the result and `fuse`.
            - `fuse`: `"auto"`, the default, orders by attention and the retriever's order, weighed
              as the profile has it, where every chunk has a finite retrieval score. A number in
              [0, 1] is the share of the retriever's in a blend; 0.5 is the sum of the two
              z-scores, of the retriever's score and of the logarithm of attention's. `None` is
              attention alone.
            - `retrieval_kind`: What these scores are: `"similarity"`, higher is better;
              `"distance"` or `"rank"`, lower is better; `"auto"`, the default, takes scores that
              only rise down the list for distances, unless attention has the same order; where
              `fuse` is a number it takes all scores for similarities.
            - `order`: How kept chunks are ordered: best first by `"score"`, as in the `"input"`, or
              `"best_last"`, next to a question that follows them.
            - `evidence_threshold`: Less evidence than this is none; default: the profile's.
            - `on_no_evidence`: Then `"keep"` the chunks all the same, return none (`"empty"`), or
              `"raise"`.
            - `trim`: Keep only some spans of the chunks, from the same forward pass; see `Trim`.
            - `render`: For trimming to a budget: what the reader gets of a chunk, called with its
              input index and its kept text. Default: its title on a line, then the text.
            - `query_words`: Keep where each token of the query looked, too, for
              `Ranking.explain`; from the same forward pass.
            - `batch_size`: As in the constructor, for this call.
            - `progress`: Likewise.

        Returns:
            The ranking; empty where `chunks` is.

        Raises:
            ValueError: If the query is blank or too long for the model, an option is off, or no
                span fits into the budget.
            TypeError: If the query is not a string.
            CaptureError: If the attention has NaN.
            NoEvidenceError: If there is too little and `on_no_evidence` is `"raise"`.
        """
        return self.rank_batch([query], chunks, **options)[0]

    def trim(
        self, query: str, chunks: Sequence[str | Chunk], **options: Unpack[TrimOptions]
    ) -> Ranking:
        """Rank chunks and keep only the spans of them that matter: `rank` with a `Trim`.

        Args:
            query: As in `rank`.
            chunks: As in `rank`.
            **options: Fields of `Trim`, such as `max_tokens=800`, and options of `rank`.

        Returns, errors: as in `rank`.
        """
        return self.rank(query, chunks, **as_rank_options(options))

    def trim_batch(
        self, queries: Sequence[str], chunks: Sequence[str | Chunk], **options: Unpack[TrimOptions]
    ) -> list[Ranking]:
        """Trim one set of chunks for several queries, each on its own; the chunks are read once.

        Options, errors: as in `trim`.

        Returns:
            One ranking for each query.
        """
        return self.rank_batch(queries, chunks, **as_rank_options(options))

    def order(
        self, query: str, texts: Sequence[str | Chunk], **options: Unpack[RankOptions]
    ) -> list[str]:
        """The same texts, best first: a plain list for a plain list.

        Args:
            query: As in `rank`.
            texts: As in `rank`.
            **options: As in `rank`, such as `top_n=5`.

        Returns:
            The texts that are kept; with `trim`, what is kept of them.

        Raises:
            ValueError, TypeError, CaptureError, NoEvidenceError: As in `rank`.

        Example:
            >>> ranker.order("Who wrote Hamlet?", ["Paris is a city.", "Shakespeare did."])
            ['Shakespeare did.', 'Paris is a city.']
        """
        return [chunk.text for chunk in self.rank(query, texts, **options).chunks]

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
        rankings, trim = ranked.rankings(asked), asked.trim
        looked = (ranked.inputs, ranked.attention)
        if trim is not None and trim.dry_run:
            whole = ranked.rankings(asked.uncut)
            rankings = self._trimmer.dry_run(whole, rankings, *looked, asked, trim, ranked.options)
        elif trim is not None:
            rankings = self._trimmer.trim(rankings, *looked, asked, trim, ranked.options)
        rankings = ranked.timed(rankings, trimmed=trim is not None)
        for ranking in rankings if trim is None or not trim.dry_run else ():
            if ranking.no_evidence and asked.on_no_evidence == "raise":
                raise NoEvidenceError(ranking, threshold_of(asked, self._profile) or 0.0)
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
        """Rank one set of chunks, and score all their spans, for who chooses among them elsewhere.

        `attnmass.client.RemoteRanker` does that: there are the reader's tokenizer and templates.

        Args:
            queries: As in `rank_batch`.
            chunks: Likewise.
            spans: Whether spans are scored.
            language: As in `Trim`.
            leaning: Whether it is told what spans lean on, as `Trim.resolve_context` needs.
            **options: As in `rank`; what cuts or orders the result has no effect.

        Returns:
            One for each query, whose ranking has all chunks, best first.

        Raises:
            ValueError, TypeError, CaptureError: As `rank`.
        """
        asked = Asked(**options).uncut
        ranked = self._ranked(queries, chunks, asked)
        if ranked is None:
            return []
        rankings = ranked.rankings(asked)
        if not spans:
            return [ScoredRanking(each, {}, {}, {}) for each in ranked.timed(rankings)]
        scored = self._trimmer.spans(
            rankings,
            ranked.inputs,
            ranked.attention,
            ranked.options,
            language=language,
            leaning=leaning,
        )
        timed = ranked.timed(rankings, trimmed=True)
        return [replace(one, ranking=ranking) for one, ranking in zip(scored, timed, strict=True)]

    def _ranked(
        self, queries: Sequence[str], chunks: Sequence[str | Chunk], asked: Asked
    ) -> Ranked | None:
        """Read the chunks, and look at them for each query; `None` if there is no query."""
        started = time.perf_counter()
        check_queries(queries)
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

    async def arank(
        self, query: str, chunks: Sequence[str | Chunk], **options: Unpack[RankOptions]
    ) -> Ranking:
        """`rank` in a worker thread of the ranker's own, so that the event loop goes on.

        Args, returns, errors: as in `rank`.
        """
        return await self._worker.run(self.rank, query, chunks, **options)

    async def arank_batch(
        self, queries: Sequence[str], chunks: Sequence[str | Chunk], **options: Unpack[RankOptions]
    ) -> list[Ranking]:
        """`rank_batch` in the ranker's worker thread, as `arank`."""
        return await self._worker.run(self.rank_batch, queries, chunks, **options)

    async def atrim(
        self, query: str, chunks: Sequence[str | Chunk], **options: Unpack[TrimOptions]
    ) -> Ranking:
        """`trim` in the ranker's worker thread, as `arank`."""
        return await self._worker.run(self.trim, query, chunks, **options)

    async def atrim_batch(
        self, queries: Sequence[str], chunks: Sequence[str | Chunk], **options: Unpack[TrimOptions]
    ) -> list[Ranking]:
        """`trim_batch` in the ranker's worker thread, as `arank`."""
        return await self._worker.run(self.trim_batch, queries, chunks, **options)

    async def aorder(
        self, query: str, texts: Sequence[str | Chunk], **options: Unpack[RankOptions]
    ) -> list[str]:
        """`order` in the ranker's worker thread, as `arank`."""
        return await self._worker.run(self.order, query, texts, **options)
