"""What a model is asked besides rankings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attnmass.engine.asking import Answered
from attnmass.engine.attributing import answer_sentences, attributed
from attnmass.engine.backgrounds import Backgrounds
from attnmass.engine.expanding import expanded
from attnmass.engine.inside import inside_of
from attnmass.engine.notes import notes_on
from attnmass.engine.progress import progress_bar
from attnmass.errors import UnsupportedModelError
from attnmass.layouts import AnsweredQuery, AnswerLayout, QueryAttention, keeps_vectors
from attnmass.models.ambient import alone
from attnmass.options.checks import check_count
from attnmass.options.keywords import names_nearest
from attnmass.results.attribution import Attribution
from attnmass.results.inside import Inside
from attnmass.results.stats import RankerStats, WarmResult
from attnmass.text.chunk import Chunk
from attnmass.text.inputs import as_queries, check_chunks, read_chunks, read_queries

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_WARM_AT_ONCE = 128  # chunks between which other threads get their turn


@names_nearest
class Looker(Backgrounds):
    """Looks at chunks without making a ranking of that; `AttentionRanker` is built on it."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, as it counts `max_tokens` by default; not to be changed."""
        return self._plain.as_reader()

    @property
    def stats(self) -> RankerStats:
        """What this ranker has done since it was built; a call in progress is counted in part."""
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

        Chunks that are already in the cache are skipped, so that a run that was cut short resumes
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
    def _attribute(
        self, asked: Answered, chunks: Sequence[str | Chunk], progress: bool | None
    ) -> Attribution:
        """See `Verbs.attribute`."""
        started = time.perf_counter()
        layout = self._layout
        if not isinstance(layout, AnswerLayout):
            raise UnsupportedModelError(
                f"layout {self._profile.layout!r} cannot look from an answer: use a decoder in the "
                "layout 'parallel' or 'joint'"
            )
        inputs = read_chunks(chunks, self._plain)
        (query,) = read_queries([asked.query], self._plain)
        (answer,) = self._plain.content([asked.answer])
        sentences, groups = answer_sentences(asked.answer, answer, asked.language)
        self._tally.add(tokenize_seconds=time.perf_counter() - started)
        groups.append([token for group in groups for token in group])
        result = self._run(
            inputs.distinct,
            len(groups),
            lambda tokens, advance: layout.attend_answer(
                AnsweredQuery(query, answer, groups), tokens, self._options, advance
            ),
            self._progress if progress is None else progress,
        )
        if asked.threshold is None:
            asked = asked.model_copy(update={"threshold": self._profile.support_threshold})
        found = attributed(asked, sentences, result.queries, inputs, self._profile)
        n_windows = {index: result.windows[place] for index, place in inputs.places.items()}
        return replace(found, notes=(*result.notes, *notes_on(n_windows, inputs.skipped)))

    @alone
    def inside(
        self, chunks: Sequence[str | Chunk], *, language: str | None = None
    ) -> tuple[Inside, ...]:
        """See which tokens and sentences of a chunk look at which others, each chunk on its own.

        The heads are weighted as they are for what a sentence leans on (`HeadProfile.context`). The
        memory that it takes grows with the square of a chunk's tokens.

        Args:
            chunks: As in `rank`.
            language: ISO 639-1 code of the language, to split into sentences; default: by script.

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
