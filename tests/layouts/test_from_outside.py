"""A layout from outside: a class, and its name in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from attnmass import AttentionRanker, Trim
from attnmass.layouts import LAYOUTS, LayoutOptions, LayoutResult, QueryAttention, WarmCounts
from attnmass.text.tokens import PlainTokenizer, Tokens
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer


class ByLength:
    """Pays every token of every chunk the same, whatever the query."""

    name: ClassVar[str] = "by_length"
    takes: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, n_heads: int) -> None:
        self._n_heads = n_heads

    @classmethod
    def build(
        cls,
        model: nn.Module,
        tokenizer: Any,
        plain: PlainTokenizer,
        heads: Sequence[tuple[int, int]],
        *_: Any,
        **own: Any,
    ) -> ByLength:
        """As `Layout.build`."""
        return cls(len(heads))

    def attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        advance: Callable[[int], object],
    ) -> LayoutResult:
        """As `Layout.attend`."""
        total = sum(map(len, chunks))
        found = tuple(torch.full((self._n_heads, len(chunk)), 1 / total) for chunk in chunks)
        advance(len(chunks))
        seen = QueryAttention(found, torch.zeros(self._n_heads))
        return LayoutResult((seen,) * len(queries), (1,) * len(chunks), 0.0, 0.0)

    def warm(
        self, chunks: Sequence[Tokens], options: LayoutOptions, advance: Callable[[int], object]
    ) -> WarmCounts:
        """As `Layout.warm`."""
        return WarmCounts(0, 0, 0.0)

    def within(
        self, chunks: Sequence[Tokens], groups: Sequence[Any], options: LayoutOptions
    ) -> list[Tensor]:
        """As `Layout.within`."""
        return [
            torch.zeros(len(mine), self._n_heads, len(chunk))
            for chunk, mine in zip(chunks, groups, strict=True)
        ]


def test_a_layout_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its name, ranks, and trims; the error for an unknown name has it, too."""
    monkeypatch.setitem(LAYOUTS["decoder"], ByLength.name, ByLength)
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="by_length")
    chunks = ["short one", "a chunk that is longer than both of the others", "of middle length"]
    ranking = ranker.rank("which?", chunks, trim=Trim(keep_ratio=1.0))
    assert ranking.chunks[0].index == 1
    n_tokens = {chunk.index: chunk.n_tokens for chunk in ranking.chunks}
    total = sum(n_tokens.values())
    assert ranking.scores == pytest.approx([n_tokens[i] / total for i in range(3)])
    assert ranking.profile.layout == "by_length"
    assert ranker.warm(chunks).read == 0
    with pytest.raises(ValueError, match="'by_length', 'joint', 'parallel', 'pointwise'"):
        AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS, layout="by_lenght")
