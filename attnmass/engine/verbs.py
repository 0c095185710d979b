"""The verbs of a ranker, the same wherever its model is: those that rank all call `rank_batch`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from typing_extensions import Unpack

from attnmass.engine.asking import Answered, RankOptions, TrimOptions, as_rank_options
from attnmass.engine.worker import Worker
from attnmass.options.attributing import TOP_SPANS
from attnmass.options.keywords import names_nearest
from attnmass.results.attribution import Attribution
from attnmass.results.ranking import Ranking
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_queries, check_chunks


@names_nearest
class Verbs:
    """Ranks, trims, orders and attributes, with and without an event loop."""

    _worker: Worker

    @abstractmethod
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

    @abstractmethod
    def _attribute(
        self, asked: Answered, chunks: Sequence[str | Chunk], progress: bool | None
    ) -> Attribution:
        """`attribute`, once what is asked is known to be right."""

    def rank(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        **options: Unpack[RankOptions],
    ) -> Ranking:
        """Order chunks by the attention that they get from the query, or as `rank_by` says.

        Args:
            query: The question; never truncated.
            chunks: Texts, or `Chunk`s with titles. Those that are empty, blank or not text are not
                scored: they come last with score 0.0.
            **options: See below.

        Options:
            - `top_n`: How many of the best to keep; default: all.
            - `min_relevance`: Keep only chunks, and where `trim` asks for spans only spans, of at
              least this relevance, in [0, 1]. `"auto"`, the default, is the profile's where `trim`
              has `max_tokens`, which is a ceiling, not a quota; else all are kept, as with `None`.
            - `retrieval_scores`: The retriever's score of each chunk: for the result, for `fuse`,
              and, if they are cosines that are fused, for evidence.
            - `fuse`: `"auto"`, the default, orders by attention and the retriever's order, weighted
              as the profile says, where every chunk has a finite retrieval score. A number in
              [0, 1] is the retriever's share in a blend; 0.5 is the sum of the two z-scores, of
              the retriever's score and of the logarithm of attention's. `None` is attention alone.
              Without scores, so is `"auto"`, except with heads that nobody fitted, beside which
              the query's words count.
            - `retrieval_kind`: What these scores are: `"similarity"`, higher is better;
              `"distance"` or `"rank"`, lower is better; `"auto"`, the default, takes scores that
              only rise down the list as distances, unless attention has the same order; where
              `fuse` is a number it takes all scores as similarities.
            - `order`: How kept chunks are ordered: best first by `"score"`, as in the `"input"`, or
              `"best_last"`, next to a question that follows them.
            - `evidence_threshold`: Evidence below this counts as none; default: the profile's.
            - `on_no_evidence`: What to do then: `"keep"` the chunks anyway, return none
              (`"empty"`), or `"raise"`.
            - `trim`: Keep only some spans of the chunks, from the same forward pass; see `Trim`.
            - `render`: For trimming to a budget: gives what the reader gets of a chunk, and is
              called with its input index and its kept text. Default: its title on a line, then the
              text.
            - `query_words`: Also keep where each token of the query looked, for
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
        check_chunks(texts, name="texts")
        return [chunk.text for chunk in self.rank(query, texts, **options).chunks]

    def attribute(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        answer: str,
        *,
        top_spans: int = TOP_SPANS,
        threshold: float | None = None,
        language: str | None = None,
        progress: bool | None = None,
    ) -> Attribution:
        """Tell what each sentence of an answer looks at in the chunks that it was made from.

        The model reads the chunks, the query, and the answer as its own turn; nothing is generated.

        Args:
            query: As in `rank`.
            chunks: As in `rank`, as the answer's author got them.
            answer: The answer, whoever wrote it; never truncated.
            top_spans: How many spans to report for each sentence, at most.
            threshold: Support below this, in [0, 1], counts as none; default: the profile's, if it
                has one.
            language: ISO 639-1 code of the language, to split into sentences; default: by script.
            progress: As in the constructor, for this call.

        Returns:
            Spans, chunk scores and support of each sentence, and the scores of all together. A null
            query plays no part.

        Raises:
            ValueError: If query or answer is blank, both together are too long for the model, or an
                option is off.
            TypeError: If query or answer is not a string.
            UnsupportedModelError: If the layout cannot look from an answer.
            CaptureError: If the attention has NaN.
        """
        (query,) = as_queries([query])
        (answer,) = as_queries([answer], name="answer")
        asked = Answered(
            query=query,
            answer=answer,
            top_spans=top_spans,
            threshold=threshold,
            language=language,
        )
        return self._attribute(asked, chunks, progress)

    async def arank(
        self, query: str, chunks: Sequence[str | Chunk], **options: Unpack[RankOptions]
    ) -> Ranking:
        """`rank` in the ranker's own worker thread, so that the event loop keeps running.

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
