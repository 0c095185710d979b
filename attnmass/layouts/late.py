"""The late layout: chunks and query are read apart, and meet in one product of their vectors.

Every chunk is read on its own behind a shared prefix, as in the parallel layout, but all that is
kept of it are the key vectors of the selected heads, rounded to 8 bits. The query is read on its
own behind the same prefix, which gives the selected heads' query vectors. A product of the two, a
log-sum-exp over each chunk's tokens, and a softmax over the chunks are all that a query takes
besides its own short pass; no chunk's part in it depends on another chunk. That queries and
documents meet late, as token vectors that were computed apart, is the idea of ColBERT (Khattab and
Zaharia, arXiv 2004.12832); here the vectors are a pretrained model's own, and what is summed is its
attention.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, overload

import torch
from torch import Tensor, nn

from attnmass.capture import Head, KeyValues
from attnmass.capture.vector_proof import prove_vectors
from attnmass.capture.vectors import VectorReader
from attnmass.layouts.base import (
    Groups,
    LayoutOptions,
    LayoutResult,
    QueryAttention,
    WarmCounts,
)
from attnmass.layouts.windows import SHORTEST_WINDOW, Window, batches, cut, n_windows, query_batches
from attnmass.layouts.within import look_within
from attnmass.masses import (
    Denominator,
    KeyVectors,
    Queries,
    chunk_mass,
    joined,
    look,
    quantize,
    token_scores,
)
from attnmass.models.out_of_memory import halving
from attnmass.store import ChunkCache, digest_key, scope_digest
from attnmass.store.vectors import VectorCache
from attnmass.text.prompt import PROMPT_VERSION, Prompt, tokenize_prompt
from attnmass.text.tokens import PlainTokenizer, Tokens

_GAP = 64  # positions between prefix and query, where a chunk would stand
_MOST_ROWS = 256  # rows of several queries that look at a block of chunks together


class LateLayout:
    """Chunks apart, query apart; see the module's text."""

    name: ClassVar[str] = "late"
    takes: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self, reader: VectorReader, tokenizer: Any, plain: PlainTokenizer, cache: ChunkCache
    ) -> None:
        """Bind the layout to a model and read what every call shares.

        Args:
            reader: The heads to read.
            tokenizer: The model's tokenizer, for its chat template.
            plain: The tokenizer's own copy.
            cache: Where what chunks leave is kept between calls.
        """
        self._reader = reader
        self._prompt = tokenize_prompt(Prompt(), tokenizer, plain)
        self._kept = VectorCache(cache, len(reader.key_heads), reader.n_dims)
        self._model = ""
        self._follow_model()

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[Head],
        cache: ChunkCache,
    ) -> LateLayout:
        """See `Layout.build`."""
        reader = VectorReader(model, heads)
        prove_vectors(reader, model)
        return cls(reader, tokenizer, plain, cache)

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """See `Layout.attend`."""
        rows = [range(len(query)) for query in queries]
        groups = [[list(mine)] for mine in rows]
        return self._attend([query.ids for query in queries], groups, chunks, options, advance)

    def attend_answer(
        self,
        query: Tokens,
        answer: Tokens,
        groups: Groups,
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """See `AnswerLayout.attend_answer`: the answer's tokens are the rows of one more query."""
        lead = (*query.ids, *self._prompt.after)
        mine = [[len(lead) + token for token in group] for group in groups]
        return self._attend([(*lead, *answer.ids)], [mine], chunks, options, advance)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Callable[[int], object]
    ) -> WarmCounts:
        """See `Layout.warm`."""
        started = time.perf_counter()
        self._follow_model()
        keys = self._keys(chunks, options)
        there = self._kept.has(keys)
        missing = {
            key: chunk.ids for key, chunk in zip(keys, chunks, strict=True) if key not in there
        }
        times = Counter(keys)
        advance(sum(times[key] for key in there))
        for key, _ in self._read(missing, options):
            advance(times[key])
        n_chunks, n_tokens = sum(times[key] for key in missing), sum(map(len, missing.values()))
        return WarmCounts(n_chunks, n_tokens, time.perf_counter() - started)

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Groups], options: LayoutOptions
    ) -> list[Tensor]:
        """See `Layout.within`."""
        return look_within(
            self._reader,
            self._prefix,
            chunks,
            groups,
            max_batch_tokens=options.max_batch_tokens,
            room=self._limit(options),
        )

    def _attend(
        self,
        queries: Sequence[Sequence[int]],
        groups: Sequence[Groups],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """Read what is not kept, and look from groups of each query's tokens.

        Args:
            queries: Token ids.
            groups: For each of them the groups of its tokens that look as one, one result each.
            chunks: The chunks.
            options: Bounds on one forward pass.
            advance: As in `attend`.
        """
        started = time.perf_counter()
        self._follow_model()
        self._check_length(queries)
        keys, n_read = self._vectors(chunks, options, advance)
        done = time.perf_counter()
        found: list[QueryAttention] = []
        asked = self._queries(queries, options)
        for vectors, mine in zip(asked, groups, strict=True):
            rows = [token for group in mine for token in group]
            looking = self._looking(vectors[rows])
            seen = self._look(looking, keys)
            start = 0
            for group in mine:
                part = slice(start, start + len(group))
                start = part.stop
                found.append(
                    self._attention(
                        self._looking(looking.vectors[part]), seen[:, :, part], keys, options
                    )
                )
        limit = self._limit(options)
        return LayoutResult(
            queries=tuple(found),
            windows=tuple(n_windows(len(chunk), limit, options.overlap) for chunk in chunks),
            encode_seconds=done - started,
            query_seconds=time.perf_counter() - done,
            tokens_encoded=n_read,
        )

    def _attention(
        self, looking: Queries, seen: Tensor, keys: Sequence[KeyVectors], options: LayoutOptions
    ) -> QueryAttention:
        """What one group of rows pays each chunk, given what it sees of them."""
        parts = [seen]
        if self._reader.sinks is not None:
            sinks = self._reader.sinks[None, :, None]
            parts.append(sinks.expand(1, -1, seen.shape[-1]))
        among = Denominator.of(parts)
        sums = chunk_mass(seen, among)
        return QueryAttention(
            TokenMasses(looking, keys, among),
            (1 - sums.sum(dim=0)).clamp(min=0).float(),
            rows=RowMasses(looking, keys, among) if options.query_rows else None,
            sums=sums,
        )

    def _look(self, looking: Queries, keys: Sequence[KeyVectors]) -> Tensor:
        """`look` with a bounded number of rows at a time, `[chunk, head, row]`."""
        parts = looking.vectors.split(_MOST_ROWS)
        return torch.cat([look(self._looking(part), keys) for part in parts], dim=-1)

    def _looking(self, vectors: Tensor) -> Queries:
        return Queries(vectors, self._reader.key_of, self._reader.caps)

    def _queries(
        self, queries: Sequence[Sequence[int]], options: LayoutOptions
    ) -> Iterator[Tensor]:
        """Vectors of each query's tokens, `[token, head, dim]`; several queries share a pass."""
        device = self._reader.device
        start = len(self._prefix) + _GAP + len(self._between)
        past = (self._prefix, self._between)

        def run(batch: Sequence[int]) -> list[Tensor]:
            mine = [queries[i] for i in batch]
            sizes = [len(ids) for ids in mine]
            vectors = self._reader.queries(
                torch.tensor([token for ids in mine for token in ids], device=device),
                torch.cat([torch.arange(size, device=device) + start for size in sizes]),
                past,
                torch.arange(len(mine)).repeat_interleave(torch.tensor(sizes)).to(device),
            )
            return list(vectors.split(sizes))

        for batch in query_batches(queries, options):
            yield from halving(run, batch)

    def _vectors(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Callable[[int], object]
    ) -> tuple[list[KeyVectors], int]:
        """What is kept of each chunk, read now where it was not, and how many tokens were read."""
        keys = self._keys(chunks, options)
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
        return [found[key] for key in keys], sum(map(len, missing.values()))

    def _read(
        self, missing: Mapping[str, Sequence[int]], options: LayoutOptions
    ) -> Iterator[tuple[str, KeyVectors]]:
        """Read chunks in windows side by side, and keep what they leave.

        A token that two windows share is taken from the first, where more stands before it.
        """
        names, rows = list(missing), [list(ids) for ids in missing.values()]
        windows = [
            Window(index, window.start, window.end)
            for index, ids in enumerate(rows)
            for window in cut([ids], self._limit(options), options.overlap)
        ]
        by_chunk: dict[int, list[int]] = {}
        for number, window in enumerate(windows):
            by_chunk.setdefault(window.chunk, []).append(number)
        parts: dict[int, KeyVectors] = {}
        for batch in batches([len(window) for window in windows], options):
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
        """Run token runs side by side after the prefix; shorter ones are filled at their end."""
        device = self._reader.device
        longest = max(map(len, rows))
        ids = torch.tensor(
            [[*row, *[row[0]] * (longest - len(row))] for row in rows], device=device
        )
        positions = torch.arange(longest, device=device) + len(self._prefix)
        vectors = self._reader.keys(ids, positions, (self._prefix,))
        return [quantize(vectors[i, : len(row)]) for i, row in enumerate(rows)]

    def _keys(self, chunks: Sequence[Tokens], options: LayoutOptions) -> list[str]:
        """Under which key what a chunk leaves is kept."""
        limit = self._limit(options)
        scopes = {
            is_cut: scope_digest(
                scope=self._scope,
                window=[limit, options.overlap] if is_cut else None,
            )
            for is_cut in (False, True)
        }
        return [
            digest_key(scopes[limit is not None and len(chunk) > limit], chunk.digest)
            for chunk in chunks
        ]

    def _limit(self, options: LayoutOptions) -> int | None:
        """How many tokens a window may have."""
        known = self._reader.max_positions
        if known is None:
            return options.max_chunk_tokens
        free = max(known - len(self._prompt.before), SHORTEST_WINDOW)
        return free if options.max_chunk_tokens is None else min(free, options.max_chunk_tokens)

    def _check_length(self, queries: Sequence[Sequence[int]]) -> None:
        known = self._reader.max_positions
        if known is None:
            return
        room = known - len(self._prefix) - _GAP - len(self._between)
        longest = max(map(len, queries))
        if longest > room:
            raise ValueError(
                f"the query has {longest} tokens, and this model has room for {max(0, room)} "
                "beside the prompt: shorten the query"
            )

    def _follow_model(self) -> None:
        """Read what every call shares anew, and look for other entries, once weights change."""
        model = self._reader.identity()
        if model == self._model:
            return
        device = self._reader.device
        n_before, n_between = len(self._prompt.before), len(self._prompt.between)
        self._prefix = self._states(self._prompt.before, torch.arange(n_before, device=device), ())
        positions = torch.arange(n_between, device=device) + n_before + _GAP
        self._between = self._states(self._prompt.between, positions, (self._prefix,))
        self._model = model
        self._scope = scope_digest(
            model=model,
            dtype=str(self._reader.dtype),
            key_heads=self._reader.key_heads,
            distance=self._reader.distance,
            layout=self.name,
            prompt_version=PROMPT_VERSION,
            prefix=self._prompt.before,
        ).hex()

    def _states(
        self, ids: Sequence[int], positions: Tensor, past: Sequence[KeyValues]
    ) -> KeyValues:
        keys, values = self._reader.read(
            torch.tensor([ids], device=self._reader.device), positions, past
        )
        return KeyValues(tuple(k[0] for k in keys), tuple(v[0] for v in values), positions)


def _merged(parts: Sequence[tuple[Window, KeyVectors]]) -> KeyVectors:
    """The vectors of a chunk from those of its windows, each token from the first that has it."""
    pieces: list[KeyVectors] = []
    end = 0
    for window, piece in parts:
        skip = end - window.start
        pieces.append(KeyVectors(piece.codes[skip:], piece.scales[skip:]) if skip else piece)
        end = window.end
    return joined(pieces)


class TokenMasses(Sequence[Tensor]):
    """What each token of each chunk gets, `[head, token]`, worked out when it is asked for.

    A ranking needs it of the chunks that are trimmed or drawn, not of thousands.
    """

    def __init__(self, looking: Queries, keys: Sequence[KeyVectors], among: Denominator) -> None:
        """Nothing is computed yet.

        Args:
            looking: The rows.
            keys: What is kept of each chunk.
            among: What all of them share.
        """
        self._looking = looking
        self._keys = tuple(keys)
        self._among = among

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Tensor, ...]: ...

    def __getitem__(self, index: int | slice) -> Tensor | tuple[Tensor, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._of(self._keys[index])

    def _of(self, keys: KeyVectors) -> Tensor:
        return self._by_row(keys).mean(dim=0).float()

    def _by_row(self, keys: KeyVectors) -> Tensor:
        scores = token_scores(self._looking, keys).double()  # [row, head, token]
        return torch.exp(scores - self._among.total.T[:, :, None])


class RowMasses(TokenMasses):
    """The same of each row by itself, `[row, head, token]`."""

    def _of(self, keys: KeyVectors) -> Tensor:
        return self._by_row(keys).float()
