"""One product of query vectors and key vectors, and its log-sum-exp over each chunk's tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnmass.masses.products import ROUND, products
from attnmass.masses.vectors import KeyVectors
from attnmass.models.out_of_memory import advising, shrinking, sizes_down

Floats = npt.NDArray[np.float32]

# Tokens whose scores are held at once, by each thread: this bounds the memory that a query takes,
# however many chunks there are.
BLOCK_TOKENS = 4096
_SMALLEST_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Queries:
    """What looks: the rows of a query, or of several.

    Attributes:
        vectors: Scaled so that a product with a key vector is a score, fp32, `[row, head, dim]`.
        key_of: For each head, the index of its key head.
        caps: For each head, where its scores are soft-capped; `None` where they are not.
    """

    vectors: Tensor
    key_of: tuple[int, ...]
    caps: tuple[float | None, ...]

    @cached_property
    def order(self) -> list[int]:
        """The heads in the order in which products are made: those on one key head together."""
        return sorted(range(len(self.key_of)), key=lambda head: (self.key_of[head], head))

    @cached_property
    def places(self) -> list[int]:
        """For each head, where it is in `order`."""
        return [self.order.index(head) for head in range(len(self.order))]

    @cached_property
    def parts(self) -> list[Part]:
        """The vectors of all heads on one key head, as one matrix, for each key head in use."""
        found, start = [], 0
        n_rows = self.vectors.shape[0]
        for key in sorted(set(self.key_of)):
            heads = [head for head in self.order if self.key_of[head] == key]
            matrix = self.vectors[:, heads].permute(2, 1, 0).flatten(1).contiguous()
            found.append(Part(key, matrix, slice(start, start + len(heads) * n_rows)))
            start += len(heads) * n_rows
        return found

    def capped(self, scores: Tensor) -> Tensor:
        """Scores `[token, head * row]`, heads in `order`, with the caps that the heads have."""
        if all(cap is None for cap in self.caps):
            return scores
        by_head = scores.unflatten(1, (len(self.order), -1))
        for place, head in enumerate(self.order):
            cap = self.caps[head]
            if cap is not None:
                by_head[:, place] = cap * torch.tanh(by_head[:, place] / cap)
        return scores


class Part(NamedTuple):
    """The heads on one key head.

    Attributes:
        key: Index of the key head.
        matrix: The heads' query vectors, `[dim, head * row]`.
        columns: Where their scores are.
    """

    key: int
    matrix: Tensor
    columns: slice


def look(
    queries: Queries, keys: Sequence[KeyVectors], *, block_tokens: int = BLOCK_TOKENS
) -> Tensor:
    """How much each chunk has for each head and row, before it shares with others.

    `L[c, h, r] = log sum over the tokens t of c of exp(q[h, r] . k[h, t])`, so that the attention
    mass of c among any chunks is `exp(L[c] - log sum exp(L))`. What a chunk gets depends only on
    its own key vectors and the query's: on a CPU, neighbours, their number, their order and
    `block_tokens` do not change a bit of it. There, all of torch's threads take part; elsewhere it
    runs where the vectors are, in smaller blocks where memory is too small.

    Args:
        queries: The rows.
        keys: What is kept of each chunk, each of at least one token.
        block_tokens: Tokens that are looked at together.

    Returns:
        `[chunk, head, row]`, fp32, on the CPU.
    """
    n_rows, n_heads, _ = queries.vectors.shape
    if not keys:
        return torch.zeros(0, n_heads, n_rows, dtype=torch.float32)
    runs, firsts = _runs(keys)
    on_cpu = queries.vectors.device.type == "cpu"
    found = np.empty((len(runs), n_heads * n_rows), dtype=np.float32)
    of_block: Callable[[Queries, Sequence[KeyVectors]], Floats] = _on_cpu if on_cpu else _on_device

    def fill(block: slice) -> None:
        found[block] = of_block(queries, runs[block])

    def in_blocks(most: int) -> None:
        sizes = [len(run) for run in runs]
        n_threads = torch.get_num_threads() if on_cpu else 1
        _in_threads(fill, list(_blocks(sizes, _even(sizes, most, n_threads))), n_threads)

    with advising("a block of key vectors", "keep fewer, with a smaller memory_bytes"):
        shrinking(in_blocks, sizes_down(block_tokens, _SMALLEST_BLOCK))
    whole = found if len(runs) == len(keys) else np.logaddexp.reduceat(found, firsts, axis=0)
    return torch.from_numpy(whole).reshape(len(keys), n_heads, n_rows)[:, queries.places]


def token_scores(queries: Queries, keys: KeyVectors) -> Tensor:
    """The score of each token, `[row, head, token]`, fp32, on the CPU; see `look`."""
    n_rows, n_heads, _ = queries.vectors.shape
    runs, _ = _runs([keys])
    on_cpu = queries.vectors.device.type == "cpu"
    parts = [
        torch.from_numpy(_scores(queries, [run])) if on_cpu else _scores_on_device(queries, [run])
        for run in runs
    ]
    scores = torch.cat(parts).cpu().reshape(len(keys), n_heads, n_rows)
    return scores.permute(2, 1, 0)[:, queries.places]


def _runs(keys: Sequence[KeyVectors]) -> tuple[list[KeyVectors], list[int]]:
    """Chunks cut into runs of at most a block, and the place of each chunk's first run.

    A long chunk is always cut at the same places, so that its sum is always the same.
    """
    runs: list[KeyVectors] = []
    firsts: list[int] = []
    for chunk in keys:
        firsts.append(len(runs))
        if len(chunk) <= BLOCK_TOKENS:
            runs.append(chunk)
            continue
        for start in range(0, len(chunk), BLOCK_TOKENS):
            here = slice(start, start + BLOCK_TOKENS)
            runs.append(KeyVectors(chunk.codes[here], chunk.scales[here]))
    return runs, firsts


def _blocks(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Runs that are looked at together: as many as have `most` tokens, at least one."""
    start, size = 0, 0
    for place, n_tokens in enumerate(sizes):
        if place > start and size + n_tokens > most:
            yield slice(start, place)
            start, size = place, 0
        size += n_tokens
    yield slice(start, len(sizes))


def _even(sizes: Sequence[int], most: int, n_threads: int) -> int:
    """Tokens of a block, at most `most`, so that all threads have about as much to do.

    What fits into one block stays in one: threads take longer to begin than it takes.
    """
    n_tokens = sum(sizes)
    if n_tokens <= most or n_threads == 1:
        return most
    n_blocks = -(-n_tokens // (most * n_threads)) * n_threads
    of_last = n_tokens // len(sizes)  # a block ends before the run that would be too much
    return min(most, -(-n_tokens // n_blocks) + of_last)


def _in_threads(run: Callable[[slice], None], blocks: Sequence[slice], n_threads: int) -> None:
    """Run over blocks; numpy leaves the interpreter to other threads while it works."""
    if len(blocks) == 1 or n_threads == 1:
        for block in blocks:
            run(block)
        return
    with ThreadPoolExecutor(min(n_threads, len(blocks))) as pool:
        for done in [pool.submit(run, block) for block in blocks]:
            done.result()


def _on_cpu(queries: Queries, block: Sequence[KeyVectors]) -> Floats:
    """Log-sum-exp over each run's tokens, `[run, head * row]`.

    Not by torch: its sums take another order where a run is padded to the length of a longer one,
    which changes the last bit; `reduceat` adds up each run by itself.
    """
    scores = _scores(queries, block)
    sizes = [len(run) for run in block]
    starts = np.cumsum([0, *sizes[:-1]])
    highest: Floats = np.maximum.reduceat(scores, starts, axis=0)
    scores -= np.repeat(highest, sizes, axis=0)
    np.exp(scores, out=scores)
    return np.asarray(highest + np.log(np.add.reduceat(scores, starts, axis=0)))


def _scores(queries: Queries, block: Sequence[KeyVectors]) -> Floats:
    """Scores of all tokens of a block, `[token, head * row]`, heads in `Queries.order`."""
    n_tokens = sum(len(run) for run in block)
    _, n_keys, n_dims = block[0].codes.shape
    codes = np.zeros((-(-n_tokens // ROUND) * ROUND, n_keys, n_dims), dtype=np.float32)
    scales = np.empty((n_tokens, n_keys), dtype=np.float32)
    start = 0
    for run in block:
        here = slice(start, start + len(run))
        codes[here] = run.codes.numpy()
        scales[here] = run.scales.numpy()
        start = here.stop
    n_columns = sum(part.matrix.shape[1] for part in queries.parts)
    scores: Floats = np.empty((n_tokens, n_columns), dtype=np.float32)
    for key, matrix, columns in queries.parts:
        found = products(codes[:, key], n_tokens, matrix.numpy())  # [token, head * row]
        np.multiply(found, scales[:, key, None], out=scores[:, columns])
    queries.capped(torch.from_numpy(scores))
    return scores


@torch.inference_mode()
def _on_device(queries: Queries, block: Sequence[KeyVectors]) -> Floats:
    """What `_on_cpu` gives, where the vectors are."""
    scores = _scores_on_device(queries, block)
    parts = scores.split([len(run) for run in block])
    found = torch.stack([part.logsumexp(dim=0) for part in parts])
    return np.asarray(found.cpu().numpy(), dtype=np.float32)


@torch.inference_mode()
def _scores_on_device(queries: Queries, block: Sequence[KeyVectors]) -> Tensor:
    """What `_scores` gives, where the vectors are."""
    device = queries.vectors.device
    codes = torch.cat([run.codes.to(device) for run in block]).to(queries.vectors.dtype)
    scales = torch.cat([run.scales.to(device) for run in block]).to(queries.vectors.dtype)
    scores = torch.cat(
        [(codes[:, key] @ matrix) * scales[:, key, None] for key, matrix, _ in queries.parts], dim=1
    )
    return queries.capped(scores)
