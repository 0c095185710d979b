"""The public entry: a model, and questions to its heads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from tqdm.auto import tqdm

from attnmass import scoring
from attnmass.cache import ChunkCache
from attnmass.cache_options import CACHE_BYTES, CACHE_FIELDS, CACHE_FOLDER_BYTES, CacheOptions
from attnmass.capture import Reader, find_text_config, prove
from attnmass.layouts import LAYOUTS, LayoutOptions, LayoutResult, QueryAttention
from attnmass.loading.load import load
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.profiles import HeadProfile, choose_profile
from attnmass.prompt import chunk_text
from attnmass.selection import Selection
from attnmass.tally import Tally
from attnmass.text import PlainTokenizer, Tokens
from attnmass.types import Chunk, RankerStats, Ranking, Timings, WarmResult
from attnmass.worker import Worker

if TYPE_CHECKING:
    from torch import nn

_WARM_AT_ONCE = 128  # chunks between which other threads get their turn


class AttentionRanker:
    """Ranks chunks by the attention that a query pays them inside a transformer.

    One instance may be called from many threads; its model is used by one at a time.

    Example:
        >>> ranker = AttentionRanker.from_pretrained("smollm2-135m")
        >>> ranking = ranker.rank("Who wrote Hamlet?", ["Paris is a city.", "Shakespeare did."])
        >>> ranking.chunks[0].index
        1
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        profile: HeadProfile | str | Path | None = None,
        heads: Iterable[tuple[int, int]] | None = None,
        layout: str = "parallel",
        max_batch_tokens: int | None = None,
        batch_size: int | None = None,
        max_chunk_tokens: int | None = None,
        cache_bytes: int | None = CACHE_BYTES,
        cache_folder: str | os.PathLike[str] | None = None,
        cache_folder_bytes: int | None = CACHE_FOLDER_BYTES,
        cache_format: str | None = None,
        progress: bool = False,
    ) -> None:
        """Prepare a loaded model; nothing of it or of the tokenizer is changed.

        Args:
            model: A transformers decoder, such as the one that a pipeline generates with.
            tokenizer: Its fast tokenizer.
            profile: The heads to read: a profile, or the path of one. Default: the one that ships
                for the model, else all heads of its middle layers, with a warning.
            heads: `(layer, head)` pairs, 0-based, weighed alike, instead of a profile.
            layout: How chunks and query are laid out; `"parallel"`.
            max_batch_tokens: Tokens in one forward pass, padding included; default: 1,024 on a
                CPU, where more was slower, and 16,384 elsewhere.
            batch_size: Chunks in one forward pass; default: as `max_batch_tokens` allows.
            max_chunk_tokens: Longer chunks are split into overlapping windows; default: the
                model's own limit.
            cache_bytes: Bound on what is kept in memory of the chunks that were read, so that later
                calls need not read them again; it lies where the model is. 0 keeps nothing, `None`
                everything; default: 1 GiB.
            cache_folder: Folder where it is kept beyond the process, too, for all processes that
                name the folder; default: none. (`cache_dir` is the Hub's cache of weights.)
            cache_folder_bytes: Bound on the folder's files; `None` for no bound; default: 10 GiB.
            cache_format: Keep it as `"float16"`, `"bfloat16"` or `"int8"`, in fewer bytes and less
                exactly; default: in the model's dtype.
            progress: Whether to show a progress bar while chunks are read.

        Raises:
            ValueError: If options contradict each other or do not fit the model.
            UnsupportedModelError: If the model's attention cannot be read, or could not be proved.
        """
        _check_layout(layout)
        self._cache = ChunkCache(
            CacheOptions(cache_bytes, cache_folder, cache_folder_bytes, cache_format)
        )
        config = find_text_config(model)
        if max_batch_tokens is None:
            on_cpu = next(model.parameters()).device.type == "cpu"
            max_batch_tokens = 1024 if on_cpu else 16384
        self._options = LayoutOptions(max_batch_tokens, batch_size, max_chunk_tokens)
        self._progress = progress
        self._profile = choose_profile(config, layout, profile=profile, heads=heads)
        self._plain = PlainTokenizer(tokenizer)
        reader = Reader(model, self._profile.heads)
        prove(reader, model)
        self._layout = LAYOUTS[layout](reader, tokenizer, self._plain, self._cache)
        self._tally = Tally()
        self._lock = threading.Lock()
        self._worker = Worker()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        profile: HeadProfile | str | Path | None = None,
        heads: Iterable[tuple[int, int]] | None = None,
        layout: str = "parallel",
        **options: Any,
    ) -> AttentionRanker:
        """Load a model by name, no more of it than the heads need.

        Args:
            name_or_path: A folder, a GGUF file, a short name (`smollm2-135m`), or a repository of
                the Hugging Face Hub. Only safetensors and GGUF are read, and no code.
            device: Where it runs; default: the best there is (CUDA, MPS, XPU, CPU).
            dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`, the fastest that the device
                does well.
            revision: Branch, tag or commit on the Hub.
            cache_dir: The Hub's cache; weights converted from GGUF are kept there too.
            local_files_only: Never ask the Hub.
            profile: As in the constructor.
            heads: As in the constructor.
            layout: As in the constructor.
            **options: The constructor's other options.

        Raises:
            WeightsNotFoundError: If no weights were found.
            ValueError: As in the constructor.
            UnsupportedModelError: As in the constructor.
        """
        _check_layout(layout)
        CacheOptions(**{name: options[name] for name in CACHE_FIELDS if name in options})
        heads = None if heads is None else tuple(heads)
        loaded = load(
            os.fspath(name_or_path),
            partial(choose_profile, layout=layout, profile=profile, heads=heads),
            device=device,
            dtype=dtype,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=local_files_only,
        )
        return cls(loaded.model, loaded.tokenizer, profile=loaded.profile, layout=layout, **options)

    @property
    def profile(self) -> HeadProfile:
        """The heads that are read."""
        return self._profile

    @property
    def stats(self) -> RankerStats:
        """What this ranker did since it was built; a call that goes on is counted in part."""
        cache, folder = self._cache, self._cache.folder
        return RankerStats(
            calls=int(self._tally["calls"]),
            hits=cache.hits,
            misses=cache.misses,
            memory_bytes=cache.memory.bytes,
            folder_bytes=0 if folder is None else folder.bytes,
            evictions=cache.memory.evictions,
            folder_evictions=0 if folder is None else folder.evictions,
            tokens_encoded=int(self._tally["tokens_encoded"]),
            tokenize_seconds=self._tally["tokenize_seconds"],
            encode_seconds=self._tally["encode_seconds"],
            query_seconds=self._tally["query_seconds"],
        )

    def rank(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        retrieval_scores: Sequence[float | None] | None = None,
        fuse: float | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Ranking:
        """Order chunks by the attention mass that they get from the query.

        Args:
            query: The question; never truncated.
            chunks: Texts, or `Chunk`s with titles. Empty, blank or non-text ones are not scored:
                they come last with score 0.0.
            top_n: Keep the best so many; default: all.
            score_threshold: Keep only chunks of at least this attention mass.
            retrieval_scores: The retriever's score of each chunk, for the result and for `fuse`.
            fuse: Order by a blend of both scores in which the retriever's has this share, in
                [0, 1]; 0.5 is the sum of the two z-scores. Default: by attention alone. Scores
                stay attention mass either way.
            batch_size: As in the constructor, for this call.
            progress: Likewise.

        Returns:
            The ranking; empty where `chunks` is.

        Raises:
            ValueError: If the query is blank or too long for the model, or an option is off.
            TypeError: If the query is not a string.
            CaptureError: If the attention has NaN.
        """
        return self.rank_batch(
            [query],
            chunks,
            top_n=top_n,
            score_threshold=score_threshold,
            retrieval_scores=retrieval_scores,
            fuse=fuse,
            batch_size=batch_size,
            progress=progress,
        )[0]

    def rank_batch(
        self,
        queries: Sequence[str],
        chunks: Sequence[str | Chunk],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        retrieval_scores: Sequence[float | None] | None = None,
        fuse: float | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> list[Ranking]:
        """Rank one set of chunks for several queries; the chunks are read once.

        Args, errors: as in `rank`.

        Returns:
            One ranking for each query.
        """
        started = time.perf_counter()
        _check_queries(queries)
        if not queries:
            return []
        selection = Selection(top_n, score_threshold, retrieval_scores, fuse)
        selection.check(len(chunks))
        options = self._options
        if batch_size is not None:
            options = replace(options, batch_size=batch_size)
        texts, skipped = _readable(chunks)
        tokens = dict(zip(texts, self._plain.content(list(texts.values())), strict=True))
        for index in [index for index, found in tokens.items() if not len(found)]:
            skipped[index] = "no tokens"
            del tokens[index]
        asked = self._tokenize(queries)
        tokenized = time.perf_counter()
        self._tally.add(tokenize_seconds=tokenized - started)
        show = self._progress if progress is None else progress
        result = self._attend(asked, list(tokens.values()), options, show)
        timings = Timings(
            tokenize=tokenized - started,
            encode=result.encode_seconds,
            query=result.query_seconds,
            total=time.perf_counter() - started,
        )
        n_tokens = {index: len(found) for index, found in tokens.items()}
        n_windows = dict(zip(tokens, result.windows, strict=True))
        rankings = []
        for query, attention in zip(queries, result.queries, strict=True):
            masses = scoring.chunk_masses(attention, self._profile.weights)
            scored = dict(zip(tokens, masses, strict=True))
            rankings.append(
                Ranking(
                    query=query,
                    chunks=selection.apply(scored, n_tokens, n_windows, skipped),
                    scores=tuple(scored.get(index, 0.0) for index in range(len(chunks))),
                    profile=self._profile,
                    timings=timings,
                    notes=(*result.notes, *_notes(n_windows, skipped)),
                )
            )
        return rankings

    async def arank(self, query: str, chunks: Sequence[str | Chunk], **options: Any) -> Ranking:
        """`rank` in a worker thread of the ranker's own, so that the event loop goes on.

        Args, returns, errors: as in `rank`.
        """
        return await self._worker.run(self.rank, query, chunks, **options)

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
            ValueError: If there is no cache to keep them in.
        """
        if not self._cache.is_on:
            raise ValueError(
                "there is no cache to warm: build the ranker with cache_bytes above 0, or with a "
                "cache_folder"
            )
        options = self._options
        if batch_size is not None:
            options = replace(options, batch_size=batch_size)
        texts = list(_readable(chunks)[0].values())
        n_readable = n_read = 0
        evictions = self._cache.evictions
        with _bar(len(texts), self._progress if progress is None else progress) as bar:
            for start in range(0, len(texts), _WARM_AT_ONCE):
                started = time.perf_counter()
                found = self._plain.content(texts[start : start + _WARM_AT_ONCE])
                tokens = [each for each in found if len(each)]
                self._tally.add(tokenize_seconds=time.perf_counter() - started)
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

    def attention(self, query: str, chunks: Sequence[str | Chunk]) -> QueryAttention:
        """Where each selected head looks from the query, before anything is made of it.

        Args:
            query: As in `rank`.
            chunks: As in `rank`; those without text get no tokens.

        Returns:
            For each chunk `[head, token]`, the heads in the profile's order.

        Raises:
            ValueError, TypeError, CaptureError: As in `rank`.
        """
        started = time.perf_counter()
        _check_queries([query])
        texts, _ = _readable(chunks)
        (asked,) = self._tokenize([query])
        tokens = self._plain.content(list(texts.values()))
        read = {index: found for index, found in zip(texts, tokens, strict=True) if len(found)}
        self._tally.add(tokenize_seconds=time.perf_counter() - started)
        result = self._attend([asked], list(read.values()), self._options, self._progress)
        found = dict(zip(read, result.queries[0].chunks, strict=True))
        nothing = torch.zeros(len(self._profile.heads), 0)
        by_chunk = tuple(found.get(index, nothing) for index in range(len(chunks)))
        return QueryAttention(by_chunk, result.queries[0].context)

    def _tokenize(self, queries: Sequence[str]) -> list[Tokens]:
        found = self._plain.content([query.strip() for query in queries])
        for query, tokens in zip(queries, found, strict=True):
            if not len(tokens):
                raise ValueError(f"the query has no tokens for this model: {query!r}")
        return found

    def _attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        progress: bool,
    ) -> LayoutResult:
        if not chunks:
            nothing = QueryAttention((), torch.zeros(len(self._profile.heads)))
            return LayoutResult((nothing,) * len(queries), (), 0.0, 0.0)
        with self._lock, _bar(len(chunks), progress) as bar:
            result = self._layout.attend(queries, chunks, options, bar.update)
        self._tally.add(
            calls=1,
            tokens_encoded=result.tokens_encoded,
            encode_seconds=result.encode_seconds,
            query_seconds=result.query_seconds,
        )
        return result


def _bar(n_chunks: int, progress: bool) -> tqdm[NoReturn]:
    return tqdm(
        total=n_chunks, desc="Reading chunks", unit="chunk", leave=False, disable=not progress
    )


def _check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not one of {', '.join(map(repr, LAYOUTS))}")


def _check_queries(queries: Sequence[str]) -> None:
    if isinstance(queries, str):
        raise TypeError("queries must be a sequence of strings: pass [query], or call rank()")
    for query in queries:
        if not isinstance(query, str):
            raise TypeError(f"the query must be a string, not {type(query).__name__}")
        if not query.strip():
            raise ValueError(f"the query is empty or blank: {query!r}")


def _readable(chunks: Sequence[str | Chunk]) -> tuple[dict[int, str], dict[int, str]]:
    """What the model reads of each chunk by input index, and why it reads nothing of the others."""
    if isinstance(chunks, str):
        raise TypeError("chunks must be a sequence of texts: pass [text]")
    texts: dict[int, str] = {}
    skipped: dict[int, str] = {}
    for index, item in enumerate(chunks):
        chunk = Chunk(item) if isinstance(item, str) else item
        if not isinstance(chunk, Chunk) or not isinstance(chunk.text, str):
            skipped[index] = "not text"
        elif not chunk.text.strip():
            skipped[index] = "blank"
        else:
            texts[index] = chunk_text(chunk)
    return texts, skipped


def _notes(n_windows: dict[int, int], skipped: dict[int, str]) -> tuple[str, ...]:
    split = [
        f"chunk {index} was longer than the model's window and read in {count} parts"
        for index, count in n_windows.items()
        if count > 1
    ]
    return (*split, *(f"chunk {index} was not scored: {why}" for index, why in skipped.items()))
