"""Attention inside chunks, against the eager attention of the same model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from attnmass import OutOfMemoryError
from attnmass.capture import Reader
from attnmass.layouts.base import LayoutOptions
from attnmass.layouts.within import Groups, look_within
from attnmass.text.tokens import Tokens
from tests.capture.checks import CHUNKS, HEADS, PREFIX
from tests.capture.families import DECODERS, Family
from tests.tiny import tiny_model

GROUPS: list[Groups] = [
    [[0, 1], [2, 3, 4], [4, 5, 6]],  # two groups share a token
    [[0], [1, 2]],
    [[0, 2], [3, 4]],  # one with a gap in it
]
LONG = [(7 * i + 3) % 90 + 5 for i in range(40)]


def look(
    model: Any,
    chunks: Sequence[Sequence[int]],
    groups: Sequence[Groups],
    max_batch_tokens: int = 1024,
    room: int | None = None,
) -> list[Tensor]:
    """`look_within` on lists of token ids."""
    reader = Reader(model, HEADS)
    tokens = [Tokens(tuple(ids), ((0, 1),) * len(ids)) for ids in chunks]
    options = LayoutOptions(max_batch_tokens=max_batch_tokens)
    (prefix,) = reader.read([PREFIX])
    return look_within(reader, prefix, tokens, groups, options, room)


def eager(model: Any, ids: Sequence[int], group: Sequence[int]) -> Tensor:
    """Where a group of a chunk's tokens looks in a plain causal forward, `[head, token]`."""
    model.config._attn_implementation = "eager"
    with torch.inference_mode():
        out = model(
            input_ids=torch.tensor([[*PREFIX, *ids]]), output_attentions=True, use_cache=False
        )
    rows = [len(PREFIX) + token for token in group]
    every = torch.stack([out.attentions[layer][0, head].float() for layer, head in HEADS])
    return every[:, rows, len(PREFIX) :].mean(dim=1)


def assert_as_eager(
    found: Sequence[Tensor],
    model: Any,
    chunks: Sequence[Sequence[int]],
    groups: Sequence[Groups],
) -> None:
    """Each chunk's attention is what eager gives for the chunk on its own."""
    for mine, ids, of_chunk in zip(found, chunks, groups, strict=True):
        expected = torch.stack([eager(model, ids, group) for group in of_chunk])
        torch.testing.assert_close(mine, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", DECODERS, ids=lambda family: family.name)
def test_every_family_is_as_eager_gives_it(family: Family) -> None:
    """Chunks that share a pass look as each would alone, in every family."""
    model = tiny_model(family.config)
    assert_as_eager(look(model, CHUNKS, GROUPS), model, CHUNKS, GROUPS)


@pytest.mark.parametrize("max_batch_tokens", [1, 8, 12, 1024])
@pytest.mark.parametrize("family", DECODERS[:4:3], ids=lambda family: family.name)
def test_packed_or_not(family: Family, max_batch_tokens: int) -> None:
    """However chunks are packed, they do not see each other."""
    model = tiny_model(family.config)
    chunks, groups = CHUNKS * 2, GROUPS * 2
    found = look(model, chunks, groups, max_batch_tokens)
    assert_as_eager(found, model, chunks, groups)


def test_passes_are_as_large_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many chunks share a pass as its bound allows; a longer chunk has one of its own."""
    sizes: list[int] = []
    original = Reader.look

    def note(self: Reader, ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes.append(len(ids))
        return original(self, ids, *args, **kwargs)

    monkeypatch.setattr(Reader, "look", note)
    look(tiny_model(DECODERS[0].config), [*CHUNKS, LONG], [*GROUPS, [[0]]], max_batch_tokens=10)
    assert sizes == [10, 5, 40]


def test_nothing_to_see() -> None:
    """No chunks, and chunks without groups, need no pass."""
    model = tiny_model(DECODERS[0].config)
    assert look(model, [], []) == []
    assert [tuple(part.shape) for part in look(model, [[5, 6]], [[]])] == [(0, len(HEADS), 2)]


class TestWindows:
    """Chunks longer than the room for them."""

    def test_each_group_in_the_first_window_that_has_it(self) -> None:
        """A group is read in the first window that has all of it, zeros stand outside."""
        model = tiny_model(DECODERS[0].config)
        groups = [[0, 1, 2], [7, 8, 9], [9, 10], [14, 15], [38, 39]]
        starts = [0, 0, 5, 10, 30]  # windows of 10 tokens begin at 0, 5, 10, ... 30
        (found,) = look(model, [LONG], [groups], room=10)
        for mine, group, start in zip(found, groups, starts, strict=True):
            window = LONG[start : start + 10]
            expected = torch.zeros(len(HEADS), len(LONG))
            expected[:, start : start + 10] = eager(model, window, [t - start for t in group])
            torch.testing.assert_close(mine, expected, atol=2e-5, rtol=1e-4)

    def test_group_across_windows(self) -> None:
        """A group that no window holds is read from its beginning, as far as a window goes."""
        model = tiny_model(DECODERS[0].config)
        group = list(range(12, 30))
        (found,) = look(model, [LONG], [[group]], room=10)
        expected = torch.zeros(1, len(HEADS), len(LONG))
        expected[0, :, 10:20] = eager(model, LONG[10:20], [2, 3, 4, 5, 6, 7, 8, 9])
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)

    @pytest.mark.parametrize("room", [40, 41, None])
    def test_no_windows_without_need(self, room: int | None) -> None:
        """A chunk that has room is read whole."""
        model = tiny_model(DECODERS[0].config)
        groups = [[[0], [20, 21], [39]]]
        assert_as_eager(look(model, [LONG], groups, room=room), model, [LONG], groups)

    @pytest.mark.parametrize("room", [1, 2, 3, 7, 39])
    def test_every_group_is_read(self, room: int) -> None:
        """Whatever the room, each group is seen by some window, and no share is more than 1."""
        model = tiny_model(DECODERS[0].config)
        groups = [[t, t + 1] for t in range(0, 39, 3)] + [list(range(40))]
        (found,) = look(model, [LONG], [groups], room=room)
        assert (found.sum(dim=-1) > 0).all()
        assert (found.sum(dim=-1) <= 1 + 1e-5).all()


class TestOutOfMemory:
    """Where a pass does not fit into memory."""

    def test_fewer_chunks_share_a_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then it is halved, and the result is the same."""
        model = tiny_model(DECODERS[0].config)
        sizes = _limit(monkeypatch, 8)
        assert_as_eager(look(model, CHUNKS, GROUPS), model, CHUNKS, GROUPS)
        assert sizes == [15, 7, 8]

    def test_windows_stay_as_long_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One chunk that is too much is read in the windows that were asked for, or not at all."""
        model = tiny_model(DECODERS[0].config, seed=1)
        ids = (LONG * 8)[:120]
        groups = [[[0, 1], [50, 51], [118, 119]]]
        sizes = _limit(monkeypatch, 100)
        with pytest.raises(OutOfMemoryError, match="max_chunk_tokens=60"):
            look(model, [ids], groups)
        (found,) = look(model, [ids], groups, room=60)
        assert sizes == [120, 120, 60, 60]  # whole, both windows at once, one by one
        last = torch.zeros(len(HEADS), 120)
        last[:, 60:] = eager(model, ids[60:], [58, 59])
        torch.testing.assert_close(found[2], last, atol=2e-5, rtol=1e-4)

    def test_what_cannot_be_smaller_is_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error about a window that is short already is the caller's to know."""
        _limit(monkeypatch, 10)
        with pytest.raises(OutOfMemoryError, match="max_chunk_tokens=20"):
            look(tiny_model(DECODERS[0].config), [LONG], [[[0]]])

    def test_other_errors_are_not_retried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only an error about memory makes passes smaller."""
        calls = 0

        def broken(*args: Any, **kwargs: Any) -> Tensor:
            nonlocal calls
            calls += 1
            raise RuntimeError("something else")

        monkeypatch.setattr(Reader, "look", broken)
        with pytest.raises(RuntimeError, match="something else"):
            look(tiny_model(DECODERS[0].config), CHUNKS, GROUPS)
        assert calls == 1


def _limit(monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let passes of more tokens fail; returns the sizes of those that were tried."""
    sizes: list[int] = []
    original = Reader.look

    def small(self: Reader, ids: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes.append(len(ids))
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, ids, *args, **kwargs)

    monkeypatch.setattr(Reader, "look", small)
    return sizes
