"""What a model is asked beside rankings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnmass.engine.attributing import answer_sentences, attributed
from attnmass.engine.backgrounds import Backgrounds
from attnmass.engine.expanding import expanded
from attnmass.engine.inside import inside_of
from attnmass.engine.notes import notes_on
from attnmass.engine.progress import progress_bar
from attnmass.errors import UnsupportedModelError
from attnmass.layouts import AnsweredQuery, AnswerLayout, QueryAttention, keeps_vectors
from attnmass.models.ambient import alone
from attnmass.options.checks import check_count, check_share
from attnmass.results.attribution import Attribution
from attnmass.results.inside import Inside
from attnmass.results.stats import RankerStats, WarmResult
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_queries, check_chunks, read_chunks, read_queries

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WARM_AT_ONCE = 128  # chunks between which other threads get their turn


class Looker(Backgrounds):
    """Looks at chunks, and makes no ranking of that; `AttentionRanker` is built on it."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, as it counts `max_tokens` by default; not to be changed."""
        return self._plain.as_reader()

    @property
    def stats(self) -> RankerStats:
        """What this ranker did since it was built; a call that goes on is counted in part."""
        cache, folder, shared = self._cache, self._cache.folder, self._cache.lasting.shared
        return RankerStats(
            calls=int(self._tally["calls"]),
            hits=cache.hits,
            misses=cache.misses,
            memory_bytes=cache.memory_bytes,
            folder_bytes=0 if folder is None else folder.disk_bytes,
            evictions=cache.memory_evictions,
            folder_evictions=0 if folder is None else folder.evictions,
            tokens_encoded=int(self._tally["tokens_encoded"]),
            tokenize_seconds=self._tally["tokenize_seconds"],
            encode_seconds=self._tally["encode_seconds"],
            query_seconds=self._tally["query_seconds"],
            folder_trouble=None if folder is None else folder.trouble,
            shared_hits=0 if shared is None else shared.hits,
            shared_misses=0 if shared is None else shared.misses,
            shared_failures=0 if shared is None else shared.failures,
            shared_trouble=None if shared is None else shared.trouble,
            shared_bytes_read=0 if shared is None else shared.bytes_read,
            shared_bytes_written=0 if shared is None else shared.bytes_written,
        )

    @alone
    def warm(
        self,
        chunks: Sequence[str | Chunk],
        *,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> WarmResult:
        """Read chunks into the cache, such as while an index is built, so that `rank` finds them.

        Chunks that are in the cache already are skipped, so that a run that was cut short goes on
        where it stopped. Other threads may rank in between.

        Args:
            chunks: As in `rank`: what is read must be what will be ranked, titles included.
            batch_size: As in the constructor, for this call.
            progress: Likewise.

        Returns:
            How many chunks were read, and how many skipped.

        Raises:
            ValueError: If there is no cache to keep them in, or the model is an encoder, which
                reads each chunk together with the query.
        """
        if not self._keeps:
            raise ValueError(
                "there is no cache to warm: build the ranker with memory_bytes above 0, or with a "
                "store"
            )
        options = self._options
        if batch_size is not None:
            check_count("batch_size", batch_size, 1)
            options = replace(options, batch_size=batch_size)
        check_chunks(chunks)
        n_readable = n_read = 0
        evictions = self._cache.evictions
        with progress_bar(len(chunks), self._progress if progress is None else progress) as bar:
            for start in range(0, len(chunks), _WARM_AT_ONCE):
                started = time.perf_counter()
                inputs = read_chunks(
                    chunks[start : start + _WARM_AT_ONCE],
                    self._plain,
                    lazily=keeps_vectors(self._profile.layout),
                )
                tokens = list(inputs.tokens.values())
                self._tally.add(tokenize_seconds=time.perf_counter() - started)
                bar.update(len(inputs.skipped))
                if not tokens:
                    continue
                with self._lock:
                    counts = self._layout.warm(tokens, options, bar.update)
                n_readable += len(tokens)
                n_read += counts.chunks
                self._tally.add(
                    tokens_encoded=counts.tokens_encoded, encode_seconds=counts.encode_seconds
                )
        self._tally.add(calls=1)
        return WarmResult(
            read=n_read,
            skipped=n_readable - n_read,
            unreadable=len(chunks) - n_readable,
            evicted=self._cache.evictions - evictions,
        )

    @alone
    def attribute(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        answer: str,
        *,
        top_spans: int = 3,
        threshold: float | None = None,
        language: str | None = None,
        progress: bool | None = None,
    ) -> Attribution:
        """See what each sentence of an answer looks at in the chunks that it was made from.

        The model reads the chunks, the query, and the answer as its own turn; nothing is generated.

        Args:
            query: As in `rank`.
            chunks: As in `rank`, as the answer's author got them.
            answer: The answer, whoever wrote it; never truncated.
            top_spans: Tell so many spans of chunks for each sentence, at most.
            threshold: Less support than this, in [0, 1], is none; default: the profile's, where
                data set one.
            language: ISO 639-1 code for the split into sentences; default: by script.
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
        started = time.perf_counter()
        (query,) = as_queries([query])
        (answer,) = as_queries([answer], name="answer")
        check_count("top_spans", top_spans, 1)
        check_share("threshold", threshold, optional="the profile's")
        layout = self._layout
        if not isinstance(layout, AnswerLayout):
            raise UnsupportedModelError(
                f"layout {self._profile.layout!r} cannot look from an answer: use a decoder in the "
                "layout 'parallel' or 'joint'"
            )
        inputs = read_chunks(chunks, self._plain)
        (asked,) = read_queries([query], self._plain)
        (said,) = self._plain.content([answer])
        sentences, groups = answer_sentences(answer, said, language)
        self._tally.add(tokenize_seconds=time.perf_counter() - started)
        groups.append([token for group in groups for token in group])
        result = self._run(
            inputs.distinct,
            len(groups),
            lambda tokens, advance: layout.attend_answer(
                AnsweredQuery(asked, said, groups), tokens, self._options, advance
            ),
            self._progress if progress is None else progress,
        )
        found = attributed(
            query,
            answer,
            sentences,
            result.queries,
            inputs,
            self._profile,
            top_spans=top_spans,
            threshold=self._profile.support_threshold if threshold is None else threshold,
            language=language,
        )
        n_windows = {index: result.windows[place] for index, place in inputs.places.items()}
        return replace(found, notes=(*result.notes, *notes_on(n_windows, inputs.skipped)))

    @alone
    def inside(
        self, chunks: Sequence[str | Chunk], *, language: str | None = None
    ) -> tuple[Inside, ...]:
        """See which tokens and sentences of a chunk look at which others, each chunk on its own.

        The heads are weighed as they are for what a sentence leans on (`HeadProfile.context`). The
        memory that it takes grows with the square of a chunk's tokens.

        Args:
            chunks: As in `rank`.
            language: ISO 639-1 code for the split into sentences; default: by script.

        Returns:
            One for each chunk, in input order, those that were not read included.

        Raises:
            UnsupportedModelError: If the encoder of an encoder-decoder does not show it.
            TypeError, CaptureError: As in `rank`.
        """
        inputs = read_chunks(chunks, self._plain)
        profile = self._profile
        found = []
        for index in range(len(inputs.chunks)):
            looked = None
            if index in inputs.tokens:
                tokens = inputs.tokens[index]
                groups = [[token] for token in range(len(tokens))]
                with self._lock:
                    (looked,) = self._layout.within([tokens], [groups], self._options)
            heads, weights = profile.all_heads, profile.context_weights
            found.append(inside_of(inputs, index, looked, heads, weights, language))
        return tuple(found)

    @alone
    def attention(self, query: str, chunks: Sequence[str | Chunk]) -> QueryAttention:
        """Where each selected head looks from the query, before anything is made of it.

        Args:
            query: As in `rank`.
            chunks: As in `rank`; those without text get no tokens.

        Returns:
            For each chunk `[head, token]`, the heads as in the profile's `all_heads`. Copies of a
            text get the same, and take nothing from one another.

        Raises:
            ValueError, TypeError, CaptureError: As in `rank`.
        """
        started = time.perf_counter()
        (query,) = as_queries([query])
        inputs = read_chunks(chunks, self._plain)
        asked = read_queries([query], self._plain)
        self._tally.add(tokenize_seconds=time.perf_counter() - started)
        result = self._attend(asked, inputs.distinct, self._options, self._progress)
        return expanded(result.queries[0], inputs, len(self._profile.all_heads))
