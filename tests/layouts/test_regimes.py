"""What chunks get does not depend on the regime that a longer chunk would bring about."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Gemma3TextConfig, LlamaConfig, Phi3Config

from attnmass import AttentionRanker
from attnmass.capture import Reader
from attnmass.capture.forward import ForwardPass
from attnmass.capture.regimes import reach
from tests.sizes import sizes
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
SHORT = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
]
LONG = "Trains and books are made of words and numbers. " * 60


def longrope() -> Any:
    """As Phi-3: other frequencies beyond 512 positions."""
    return Phi3Config(
        **sizes(512, 3, 4096, num_key_value_heads=2, pad_token_id=0),
        original_max_position_embeddings=512,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0] * 4,
            "long_factor": [8.0] * 4,
            "original_max_position_embeddings": 512,
        },
    )


def dynamic() -> Any:
    """Frequencies that follow the number of positions beyond 512."""
    return LlamaConfig(
        **sizes(512, 3, 512, num_key_value_heads=2, pad_token_id=0),
        rope_parameters={"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10000.0},
    )


def sliding(window: int) -> Any:
    """As Gemma 3: two layers of three see no further than a window."""
    return Gemma3TextConfig(
        **sizes(512, 3, 4096, num_key_value_heads=2, pad_token_id=0),
        head_dim=8,
        sliding_window=window,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )


HEADS = ((0, 1), (1, 0), (2, 3))


def make(config: Any, layout: str, **options: Any) -> AttentionRanker:
    """A ranker over a small model."""
    model = tiny_model(config, gain=4.0)
    return AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout, **options)


@pytest.mark.parametrize("layout", ["late", "parallel", "joint"])
@pytest.mark.parametrize("config", [longrope, dynamic], ids=lambda make: make.__name__)
def test_all_passes_are_in_the_first_regime(
    config: Any, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a chunk is, no token stands where rotary embeddings would be others."""
    furthest: list[int] = []
    run = Reader._run

    def watched(self: Reader, ids: torch.Tensor, state: ForwardPass) -> None:
        furthest.append(int(state.positions.max()))
        run(self, ids, state)

    monkeypatch.setattr(Reader, "_run", watched)
    ranker = make(config(), layout)
    ranking = ranker.rank(QUERY, [*SHORT, LONG])
    if layout != "joint":
        ranker.attribute(QUERY, [*SHORT, LONG], "Albert Einstein did.")
        assert ranking.chunks[[c.index for c in ranking.chunks].index(2)].n_windows > 1
    ranker.inside([LONG])
    assert max(furthest) < 512


@pytest.mark.parametrize("layout", ["late", "parallel"])
@pytest.mark.parametrize("config", [longrope, dynamic], ids=lambda make: make.__name__)
def test_a_generator_that_went_further_changes_nothing(config: Any, layout: str) -> None:
    """A model that has read a long text since is the same model, as it is without one."""
    model = tiny_model(config(), gain=4.0)
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout)
    expected = ranker.rank(QUERY, [*SHORT, LONG]).scores
    identity = ranker._layout._reader.identity()  # type: ignore[attr-defined]
    with torch.no_grad():
        model(torch.arange(700)[None] % 500)
    assert ranker._layout._reader.identity() == identity  # type: ignore[attr-defined]
    frequencies = model.model.rotary_emb.inv_freq.clone()
    new = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout)
    for each in (ranker, new):
        assert each.rank(QUERY, [*SHORT, LONG]).scores == expected
    assert torch.equal(model.model.rotary_emb.inv_freq, frequencies)  # it is the generator's


@pytest.mark.parametrize("layout", ["late", "parallel"])
@pytest.mark.parametrize("window", [80, 256, 300])
def test_short_chunks_are_seen_beside_a_long_one(layout: str, window: int) -> None:
    """Heads of layers with sliding windows see short chunks whatever stands beside them."""
    ranker = make(sliding(window), layout)
    seen = ranker.attention(QUERY, [*SHORT, LONG])
    nearest = [chunk[:, -min(window // 4, chunk.shape[1]) :] for chunk in seen.chunks[:2]]
    for chunk in nearest:
        assert (chunk.sum(dim=1) > 0).all()
    if window >= 256:  # all of a chunk, prompt and query fit into one window
        assert all((chunk > 0).all() for chunk in seen.chunks)


def test_a_chunk_alone_is_seen_as_by_the_model() -> None:
    """Beside nothing else a chunk stands where it stands, and windows are the model's own."""
    ranker = make(sliding(16), "parallel")
    (alone,) = ranker.attention(QUERY, SHORT[:1]).chunks
    again, _ = ranker.attention(QUERY, [SHORT[0], SHORT[0]]).chunks
    assert torch.equal(alone > 0, again > 0)


def test_reach() -> None:
    """The shortest window of the layers that run counts, of those that are there."""
    config = sliding(100)
    assert reach(config, 1) == reach(config, 3) == 100
    config.layer_types = ["full_attention", "full_attention", "sliding_attention"]
    assert [reach(config, n) for n in (1, 2, 3)] == [None, None, 100]
    assert reach(dynamic(), 3) is None
