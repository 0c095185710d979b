"""What layouts that read each chunk by itself and keep what it leaves behind have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from attnmass.capture import CrossReader, KeyValues, Reader
from attnmass.layouts.base import Advance, LayoutOptions, LayoutResult, QueryAttention, WarmCounts
from attnmass.layouts.states import StateReader, States, Text
from attnmass.layouts.windows import Window, counted, cut
from attnmass.store import ChunkCache, entry_key, scope_digest
from attnmass.text.tokens import Tokens

Limit = Callable[[int | None], int | None]
Frame = Callable[[tuple[int, ...]], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the chunks of one call left behind.

    Attributes:
        windows: Windows of the chunks, in the order of their keys: sums over them take the same
            order, and are rounded alike, whatever order the chunks came in.
        keys: The key of each window in `states`.
        states: What windows left behind.
        n_read: Tokens of chunks that the model read now.
        started: When reading began, by `time.perf_counter`.
        done: When it ended.
    """

    windows: list[Window]
    keys: list[str]
    states: States
    n_read: int
    started: float
    done: float

    def result(self, queries: Sequence[QueryAttention], n_chunks: int) -> LayoutResult:
        """What a layout returns once the queries have looked."""
        return LayoutResult(
            queries=tuple(queries),
            windows=counted(self.windows, n_chunks),
            encode_seconds=self.done - self.started,
            query_seconds=time.perf_counter() - self.done,
            tokens_encoded=self.n_read,
        )


class KeepingLayout:
    """Reads chunks in windows, each by itself, through a cache that follows the model.

    A layout based on it says in `_about` what its entries depend on besides model and chunk.
    """

    def __init__(self, reader: Reader | CrossReader, cache: ChunkCache) -> None:
        """Bind to a cache; nothing is read yet.

        Args:
            reader: The heads to read.
            cache: Where what chunks leave behind is kept between calls.
        """
        self._followed = reader
        self._cache = cache
        self._states = StateReader(cache)
        self._model = ""
        self._scope = b""

    def _about(self) -> dict[str, Any]:
        """What entries depend on besides the model and the chunk; called when the model changes."""
        raise NotImplementedError

    def _read_batch(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        """Run token sequences side by side and return what each leaves behind."""
        raise NotImplementedError

    def _follow_model(self) -> None:
        """Look for different entries once the model's weights change."""
        reader = self._followed
        model = reader.identity()
        if model == self._model:
            return
        about = self._about()
        self._scope = scope_digest(
            model=model,
            dtype=str(reader.dtype),
            last_layer=reader.last_layer,
            # The name is part of the digest, so it stays what it was when stores were written.
            cache_format=self._cache.options.store_format,
            **about,
        )
        self._model = model

    def _read_chunks(
        self,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
        limit: Limit,
        frame: Frame = tuple,
    ) -> Kept:
        """What chunks leave behind, from the cache or read now.

        Args:
            chunks: The chunks.
            options: Bounds on one forward pass.
            advance: As in `Layout.attend`.
            limit: Maps the length that is wanted to how long a window may be; `None` for any
                length.
            frame: Puts a window's tokens between the others that are read with them.
        """
        started = time.perf_counter()
        windows, keys, texts = self._texts(chunks, options, limit, frame)
        order = sorted(range(len(keys)), key=lambda i: tuple(texts[keys[i]].ids))
        windows, keys = [windows[i] for i in order], [keys[i] for i in order]
        states, n_read = self._states.states(
            self._read_batch, texts, options, self._followed.device, advance
        )
        return Kept(windows, keys, states, n_read, started, time.perf_counter())

    def _warm_chunks(
        self,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Advance,
        limit: Limit,
        frame: Frame = tuple,
    ) -> WarmCounts:
        """Read what is not in the cache; arguments as in `_read_chunks`."""
        started = time.perf_counter()
        windows, keys, texts = self._texts(chunks, options, limit, frame)
        missing = self._states.warm(self._read_batch, texts, options, advance)
        new = {w.chunk for w, key in zip(windows, keys, strict=True) if key in missing}
        n_tokens = sum(texts[key].n_content for key in missing)
        return WarmCounts(len(new), n_tokens, time.perf_counter() - started)

    def _texts(
        self, chunks: Sequence[Tokens], options: LayoutOptions, limit: Limit, frame: Frame
    ) -> tuple[list[Window], list[str], dict[str, Text]]:
        """Windows, the key of each, and what is to be read under each key."""
        self._follow_model()
        windows = list(cut(chunks, limit(options.max_chunk_tokens), options.overlap))
        keys: list[str] = []
        texts: dict[str, Text] = {}
        for window in windows:
            ids = frame(window.ids(chunks))
            key = entry_key(self._scope, ids)
            ends = window.end == len(chunks[window.chunk])
            texts.setdefault(key, Text(ids, len(window))).ends += ends
            keys.append(key)
        return windows, keys, texts
