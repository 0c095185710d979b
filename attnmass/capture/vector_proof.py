"""Proof, on a few tokens, that products of a reader's vectors are the model's own attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnmass.capture.comparing import COARSE, EAGER, compare, first_run, is_half
from attnmass.capture.proof import eager_rows, first_heads, in_float32, prove
from attnmass.capture.vectors import VectorReader
from attnmass.errors import UnsupportedModelError

_TOKENS = 12
_SHIFT = 7


def prove_vectors(reader: VectorReader, model: nn.Module) -> None:
    """Compare a reader's vectors with eager attention of the same model.

    `q . k` of a few tokens at their own positions, softmaxed, has to be the model's own eager
    attention over them. Products of vectors that were rotated to one distance have to be those of
    tokens that far apart, wherever these stand. All of these vectors come out of one pass, and what
    readers ask for in separate passes has to be the same. What `prove` proves is proved beforehand.

    Raises:
        UnsupportedModelError: If attention differs; says where and by how much.
        CaptureError: If there are NaN or infinite values.
    """
    prove(reader, model)
    n_tokens = _TOKENS + (reader.distance or 0)
    positions = torch.arange(n_tokens, device=reader.device)
    ids = (positions * 7 + 5) % int(reader.config.vocab_size)
    with first_run(reader):
        keys, queries, near, far = reader.vectors(ids, positions)
        few, start = ids[:_TOKENS], _SHIFT if reader.distance else 0
        (moved_keys,) = reader.keys([few.tolist()], start)
        asked = (moved_keys, near), (reader.queries(few, positions[:_TOKENS] + start), far)
    expected = eager_rows(reader, model, ids)  # [head, row, key]
    found = _attention(reader, queries, keys, expected > 0)
    last = slice(n_tokens - _TOKENS, n_tokens)  # rows with something before them
    try:
        _compare_rows(reader, found[:, last], expected[:, last], None)
    except UnsupportedModelError:
        if not is_half(reader):
            raise
        exact = in_float32(reader, model)
        prove_vectors(VectorReader(exact, first_heads(reader, exact)), exact)
        _compare_rows(reader, found[:, last], expected[:, last], COARSE)
    distance = reader.distance or 0
    pairs = [(i, i + distance) for i in range(_TOKENS)]
    gap = max(
        _difference(reader, (far[later], near[i]), (queries[later], keys[i])) for i, later in pairs
    )
    # A rotation preserves distances, so tokens that are all moved together give the same.
    for moved, there in asked:
        change = (moved - there[:_TOKENS]).norm(dim=-1)
        gap = max(gap, float((change / there[:_TOKENS].norm(dim=-1).clamp(min=1e-6)).max()))
    if gap > (6e-2 if is_half(reader) else 2e-3):
        raise UnsupportedModelError(
            f"{type(model).__name__}: vectors that are turned to a distance of {reader.distance} "
            f"differ by {gap:.2g} of their length from those of tokens that stand so far apart, so "
            "scores could not be trusted: use layout='parallel'."
        )


def _attention(reader: VectorReader, queries: Tensor, keys: Tensor, seen: Tensor) -> Tensor:
    """Softmax attention over the keys that a row sees, `[head, row, key]`."""
    scores = torch.einsum("rhd,khd->hrk", queries, keys[:, list(reader.key_of)])
    for head, cap in enumerate(reader.caps):
        if cap is not None:
            scores[head] = cap * torch.tanh(scores[head] / cap)
    scores = scores.masked_fill(~seen, -torch.inf)
    if reader.sinks is None:
        return scores.softmax(dim=-1)
    sinks = reader.sinks.to(scores.device)[:, None, None].expand(*scores.shape[:2], 1)
    return torch.cat([scores, sinks], dim=-1).softmax(dim=-1)[..., :-1]


def _compare_rows(
    reader: VectorReader, found: Tensor, expected: Tensor, tolerance: float | None
) -> None:
    for row in range(found.shape[1]):
        compare(
            reader, found[:, row].cpu(), expected[:, row].cpu(), EAGER,
            kind="the vectors' attention", tolerance=tolerance,
        )  # fmt: skip


def _difference(
    reader: VectorReader, turned: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]
) -> float:
    """How far products are from each other, as a fraction of the vectors' lengths.

    Args:
        reader: What read them.
        turned: A query vector `[head, dim]` and a key vector `[key_head, dim]`.
        own: The same at the tokens' own positions.
    """
    key_of = list(reader.key_of)
    found, expected = ((query * key[key_of]).sum(dim=-1) for query, key in (turned, own))
    lengths = own[0].norm(dim=-1) * own[1][key_of].norm(dim=-1)
    return float(((found - expected).abs() / lengths.clamp(min=1e-6)).max())
