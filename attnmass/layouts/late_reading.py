"""How the late layout reads chunks (once, in windows where they are long), and what it keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from attnmass.capture import KeyValues
from attnmass.capture.vectors import VectorReader
from attnmass.layouts.base import Advance, LayoutOptions
from attnmass.layouts.late_masses import HeldVectors
from attnmass.layouts.windows import SHORTEST_WINDOW, Window, batches, cut, lowest
from attnmass.masses import KeyVectors, joined, quantize
from attnmass.models.out_of_memory import advising_shorter, halving
from attnmass.options.cache import CacheOptions
from attnmass.store import ChunkCache, digest_key, scope_digest
from attnmass.store.vectors import VectorCache
from attnmass.text.tokens import Tokens

_FOLDER_BYTES = 256 << 20  # some fifty models' backgrounds


def overlap(limit: int | None) -> int:
    """Tokens that two windows of a chunk share: half of them.

    The less comes before a token, the more attention its key vector draws: right after a window's
    start, two to three times as much as in the whole chunk. For real articles in two windows, the
    mass comes out 9 to 10% too high where 64 tokens are shared, 4 to 5% where a quarter of a window
    is, and 1 to 2% where half of it is.

    Args:
        limit: Most tokens in a window.
    """
    return 0 if limit is None else limit // 2


class ChunkVectors:
    """Key vectors of chunks, each read on its own after a prefix where no vectors are kept yet.

    Attributes:
        scope: That of the entries, from `follow`.
    """

    scope: str

    def __init__(self, reader: VectorReader, cache: ChunkCache) -> None:
        """Nothing can be read before `follow` has said after what prefix.

        Args:
            reader: The heads to read.
            cache: Where what chunks leave behind is kept between calls.
        """
        self._reader = reader
        self._kept = VectorCache(cache, len(reader.key_heads), reader.n_dims)

    def follow(self, prefix: KeyValues, scope: str) -> None:
        """From now on, read after this prefix, and look for entries of this scope.

        Args:
            prefix: What every chunk comes after.
            scope: A digest of all that entries depend on besides their chunk and its windows.
        """
        self._prefix = prefix
        self.scope = scope

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        keys = self.keys(chunks, options)
        there = self._kept.has(keys)
        missing = {
            key: chunk.ids for key, chunk in zip(keys, chunks, strict=True) if key not in there
        }
        times = Counter(keys)
        advance(sum(times[key] for key in there))
        for key, _ in self._read(missing, options):
            advance(times[key])
        return sum(times[key] for key in missing), sum(map(len, missing.values()))

    def read(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> HeldVectors:
        """See `Shard.read`: what is kept of each chunk, read now where it was not."""
        keys = self.keys(chunks, options)
        sizes = {key: len(chunk) for key, chunk in zip(keys, chunks, strict=True)}
        found = self._kept.get(sizes, self._reader.device)
        missing = {
            key: chunk.ids for key, chunk in zip(keys, chunks, strict=True) if key not in found
        }
        times = Counter(keys)
        advance(sum(times[key] for key in found))
        for key, vectors in self._read(missing, options):
            found[key] = vectors
            advance(times[key])
        return HeldVectors([found[key] for key in keys], sum(map(len, missing.values())))

    def find(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[KeyVectors | None]:
        """What is kept of each chunk; `None` where nothing is. Needs none of their tokens."""
        keys = self.keys(chunks, options)
        sizes = {key: len(chunk) for key, chunk in zip(keys, chunks, strict=True)}
        found = self._kept.get(sizes, self._reader.device)
        return [found.get(key) for key in keys]

    def keys(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[str]:
        """The key under which what each chunk leaves behind is kept."""
        limit = self.limit(options)
        scopes = {
            is_cut: scope_digest(
                scope=self.scope,
                window=[limit, overlap(limit)] if is_cut else None,
            )
            for is_cut in (False, True)
        }
        return [
            digest_key(scopes[limit is not None and len(chunk) > limit], chunk.digest)
            for chunk in chunks
        ]

    def limit(self, options: LayoutOptions) -> int | None:
        """How many tokens a window may have."""
        known = self._reader.max_positions
        free = None if known is None else max(known - len(self._prefix), SHORTEST_WINDOW)
        return lowest(free, options.max_chunk_tokens)

    def _read(
        self, missing: Mapping[str, Sequence[int]], options: LayoutOptions
    ) -> Iterator[tuple[str, KeyVectors]]:
        """Read chunks in windows side by side, and keep what they leave behind.

        A token that two windows share is taken from the first, where more comes before it.
        """
        limit = self.limit(options)
        # By what they say: texts share a batch with the same others in any order, see `States`.
        names = sorted(missing, key=lambda name: tuple(missing[name]))
        rows = [list(missing[name]) for name in names]
        windows = [
            Window(index, window.start, window.end)
            for index, ids in enumerate(rows)
            for window in cut([ids], limit, overlap(limit))
        ]
        by_chunk: dict[int, list[int]] = {}
        for number, window in enumerate(windows):
            by_chunk.setdefault(window.chunk, []).append(number)
        parts: dict[int, KeyVectors] = {}
        for batch in batches([len(window) for window in windows], options):
            with advising_shorter(max(len(windows[i]) for i in batch)):
                done = halving(
                    lambda some: self._read_batch(
                        [rows[windows[i].chunk][windows[i].start : windows[i].end] for i in some]
                    ),
                    batch,
                )
            parts |= zip(batch, done, strict=True)
            ready = {windows[i].chunk for i in batch}
            whole = {
                names[chunk]: _merged([(windows[i], parts.pop(i)) for i in by_chunk[chunk]])
                for chunk in sorted(ready)
                if all(i in parts for i in by_chunk[chunk])
            }
            self._kept.put(whole)
            yield from whole.items()

    def _read_batch(self, rows: Sequence[Sequence[int]]) -> list[KeyVectors]:
        """Run token sequences side by side after the prefix."""
        vectors = self._reader.keys(rows, len(self._prefix), (self._prefix,))
        return [quantize(mine) for mine in vectors]


@dataclass(frozen=True, slots=True)
class OwnShard:
    """What a layout keeps and reads by itself, with its model as it is at the time of asking.

    Attributes:
        chunks: What reads.
        follow: Calls `ChunkVectors.follow` with what currently applies to the model.
    """

    chunks: ChunkVectors
    follow: Callable[[ChunkVectors], None]

    def _now(self) -> ChunkVectors:
        self.follow(self.chunks)
        return self.chunks

    @property
    def scope(self) -> str:
        """See `KeepingShard.scope`."""
        return self._now().scope

    def find(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[KeyVectors | None]:
        """See `KeepingShard.find`."""
        return self._now().find(chunks, options)

    def read(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> HeldVectors:
        """See `Shard.read`."""
        return self._now().read(chunks, options, advance)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Advance
    ) -> tuple[int, int]:
        """See `Shard.warm`."""
        return self._now().warm(chunks, options, advance)


class BackgroundVectors:
    """Key vectors of the texts that chunks are compared with, which stay as long as the model.

    They are read once for a model, and then kept beside the Hub's cache of weights, for every
    process: they depend on the model, the heads and the texts alone.

    Attributes:
        cache: Where they are kept, if there are any texts.
    """

    cache: ChunkCache

    def __init__(self, reader: VectorReader, texts: Sequence[Tokens]) -> None:
        """Nothing is read yet.

        Args:
            reader: The heads to read.
            texts: The background; empty for none.
        """
        self._texts = texts
        self._found: HeldVectors | None = None
        if texts:
            kept = CacheOptions(memory_bytes=0, store=str(_folder()), store_bytes=_FOLDER_BYTES)
            self.cache = ChunkCache(kept)
            self._chunks = ChunkVectors(reader, self.cache)

    def follow(self, prefix: KeyValues, scope: str) -> None:
        """As `ChunkVectors.follow`."""
        self._found = None
        if self._texts:
            self._chunks.follow(prefix, scope)

    def get(self) -> HeldVectors | None:
        """What is kept of each text, read now where it was not; `None` if there is no text."""
        if self._texts and self._found is None:
            # In the same batches whatever a caller says about batches: every process gets the same.
            self._found = self._chunks.read(self._texts, LayoutOptions(), lambda _: None)
        return self._found


def _folder() -> Path:
    return Path(constants.HF_HOME) / "attnmass" / "background"


def _merged(parts: Sequence[tuple[Window, KeyVectors]]) -> KeyVectors:
    """The vectors of a chunk from those of its windows, each token from the first that has it."""
    pieces: list[KeyVectors] = []
    end = 0
    for window, piece in parts:
        skip = end - window.start
        pieces.append(KeyVectors(piece.codes[skip:], piece.scales[skip:]) if skip else piece)
        end = window.end
    return joined(pieces)
