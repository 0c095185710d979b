"""The order in which chunks come, and what shares a pass, in half precision too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import BertConfig

from attnmass import AttentionRanker
from tests.conftest import HEADS
from tests.layouts.test_memory import CHUNKS, LONG, QUERY
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import SIZES, tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_seq2seq

# Several of one length, one twice, one in windows that overlap.
MANY = [*CHUNKS, *(f"The {word} runs." for word in ("river", "city", "train", "book")), CHUNKS[0]]


def decoder(layout: str) -> Callable[..., AttentionRanker]:
    """Builds rankers over the tiny decoder."""

    def build(dtype: torch.dtype, **options: Any) -> AttentionRanker:
        model = tiny_model(gain=4.0).to(dtype)
        return AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout, **options)

    return build


def encoder(dtype: torch.dtype, **options: Any) -> AttentionRanker:
    """A ranker over an encoder, which keeps nothing."""
    config = BertConfig(**{**SIZES, "max_position_embeddings": 512}, pad_token_id=0)
    model = tiny_encoder(config).to(dtype)
    return AttentionRanker(model, wordpiece_tokenizer(), heads=((0, 1), (1, 2)), **options)


def seq2seq(dtype: torch.dtype, **options: Any) -> AttentionRanker:
    """A ranker over an encoder-decoder."""
    model = tiny_seq2seq().to(dtype)
    return AttentionRanker(model, seq2seq_tokenizer("t5"), heads=((0, 1), (1, 3)), **options)


BUILDS = {
    "parallel": decoder("parallel"),
    "late": decoder("late"),
    "encoder": encoder,
    "encoder-decoder": seq2seq,
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", BUILDS)
def test_order_changes_no_bit(name: str, dtype: torch.dtype) -> None:
    """Read now or kept, chunks in another order have the same attention, to the last bit."""
    chunks = [LONG, *MANY]
    build = BUILDS[name]
    ranker = build(dtype, max_chunk_tokens=100)
    expected = ranker.attention(QUERY, chunks).chunks
    scores = ranker.rank(QUERY, chunks).scores
    orders = [list(range(len(chunks)))[::-1], [*range(3, len(chunks)), 2, 0, 1]]
    for order in orders:
        for each in (build(dtype, max_chunk_tokens=100), ranker):
            found = each.attention(QUERY, [chunks[i] for i in order]).chunks
            for place, index in enumerate(order):
                assert torch.equal(found[place], expected[index])
            again = each.rank(QUERY, [chunks[i] for i in order]).scores
            assert again == pytest.approx([scores[i] for i in order], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", BUILDS)
def test_what_shares_a_pass_moves_rounding_alone(name: str, dtype: torch.dtype) -> None:
    """Read one by one, or half of them before, scores move by what the docs say at most."""
    build = BUILDS[name]
    expected = build(dtype).rank(QUERY, MANY).scores
    relative = 0.1 if dtype == torch.bfloat16 else 1e-3 if name == "late" else 1e-5
    alone = build(dtype, batch_size=1).rank(QUERY, MANY).scores
    assert alone == pytest.approx(expected, rel=relative)
    if name == "encoder":
        return
    half = build(dtype)
    half.warm(MANY[::2])
    assert half.rank(QUERY, MANY).scores == pytest.approx(expected, rel=relative)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("name", ["parallel", "late", "encoder-decoder"])
def test_chunks_that_are_read_alone_are_always_the_same(name: str, dtype: torch.dtype) -> None:
    """With `batch_size=1` it does not matter either which chunks were there before."""
    build = BUILDS[name]
    expected = build(dtype, batch_size=1).rank(QUERY, MANY).scores
    half = build(dtype, batch_size=1)
    half.warm(MANY[::2])
    assert half.rank(QUERY, MANY).scores == expected
