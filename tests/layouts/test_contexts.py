"""How chunks are put into contexts, and merged: pure functions, checked by construction."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnmass.layouts.contexts import Placed, merge, pack
from attnmass.layouts.windows import Window
from attnmass.text.tokens import Tokens


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(30, 100))
def test_packing_keeps_order_and_room(sizes: list[int], room: int) -> None:
    """Every item is in a run, in order, no run is too large, and neighbours share one at most."""
    runs = pack(sizes, room)
    assert list(dict.fromkeys(i for run in runs for i in run)) == list(range(len(sizes)))
    for run in runs:
        assert run == list(range(run[0], run[-1] + 1))
        assert sum(sizes[i] for i in run) <= room
    for one, other in pairwise(runs):
        assert other[0] in (one[-1], one[-1] + 1)
        assert other[-1] > one[-1]


def test_packing_by_hand() -> None:
    """Runs are few, even, and overlap where there is room."""
    assert pack([10, 10, 10], None) == [[0, 1, 2]]
    assert pack([10, 10, 10], 30) == [[0, 1, 2]]
    assert pack([10] * 5, 40) == [[0, 1, 2], [2, 3, 4]]
    assert pack([30, 30, 30], 40) == [[0], [1], [2]]


def test_merging_is_exact_where_scores_are_the_same() -> None:
    """If the query's scores do not depend on the context, several contexts give the softmax of one.

    Here they are made so: tokens keep their scores, and each context takes a softmax of its own.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = [3, 2, 4]
    tokens = [Tokens(tuple(range(size)), ((0, 1),) * size) for size in sizes]
    scores = [torch.randn(1, 2, size, generator=generator) * 3 for size in sizes]
    rest = torch.randn(1, 2, 5, generator=generator)

    def context(chunks: list[int]) -> tuple[list[Placed], torch.Tensor]:
        placed, start = [], 2
        for chunk in chunks:
            placed.append(Placed(Window(chunk, 0, sizes[chunk]), start))
            start += sizes[chunk]
        keys = [rest[..., :2], *(scores[chunk] for chunk in chunks), rest[..., 2:]]
        return placed, torch.cat(keys, dim=-1).softmax(dim=-1)

    (whole,) = merge([context([0, 1, 2])], tokens)
    (merged,) = merge([context([0, 1]), context([1, 2])], tokens)
    for one, other in zip(whole.chunks, merged.chunks, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(whole.context, merged.context, atol=1e-6)


def test_a_token_in_two_windows_counts_as_the_mean() -> None:
    """Windows of a chunk that overlap in one context do not count twice."""
    tokens = [Tokens((1, 2, 3), ((0, 1),) * 3)]
    placed = [Placed(Window(0, 0, 2), 1), Placed(Window(0, 1, 3), 4)]
    attention = torch.tensor([[[0.1, 0.2, 0.1, 0.05, 0.3, 0.15, 0.1]]])
    (found,) = merge([(placed, attention)], tokens)
    assert found.chunks[0].tolist() == [pytest.approx([0.2, 0.2, 0.15])]
    assert found.context.tolist() == pytest.approx([0.25])
