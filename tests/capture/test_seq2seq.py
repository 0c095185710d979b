"""Every encoder-decoder of the table, on a seeded two-layer model of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attnmass import AttentionRanker, CaptureError, UnsupportedModelError
from attnmass.capture import CrossReader, prove_cross
from attnmass.models.pair import shared_pair
from tests.capture import seq2seq_checks as checks
from tests.capture.families import Family
from tests.capture.seq2seq_families import READ, REFUSED
from tests.capture.seq2seq_table import render_table
from tests.capture.table import on_page
from tests.tiny import tiny_model
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_bart, tiny_seq2seq

each_family = pytest.mark.parametrize("family", READ, ids=lambda family: family.name)


@each_family
def test_equals_eager(family: Family) -> None:
    """Chunks read side by side give the cross-attention of the model over their joined states."""
    model = tiny_seq2seq(family.config)
    assert CrossReader(model, checks.HEADS).path == family.path
    assert checks.gap_to_eager(model) < 1e-5


@each_family
def test_order_of_chunks_plays_no_part(family: Family) -> None:
    """A token gets the same attention wherever its chunk comes."""
    assert checks.gap_between_orders(tiny_seq2seq(family.config)) < 1e-5


@each_family
def test_rows_sum_to_one_and_are_not_uniform(family: Family) -> None:
    """Attention over all chunks is a distribution, and the tiny models' is far from even."""
    found = checks.look(CrossReader(tiny_seq2seq(family.config), checks.HEADS), [0, 1, 2])
    assert torch.allclose(found.sum(dim=2), torch.ones(found.shape[:2]), atol=1e-5)
    assert found.max() > 2 / found.shape[2]


@each_family
def test_chunks_leave_the_same_whatever_they_are_read_with(family: Family) -> None:
    """What is cached of a chunk depends on the chunk alone, not on its batch or on earlier ones."""
    assert checks.gap_to_alone(tiny_seq2seq(family.config)) < 1e-5


@pytest.mark.parametrize(
    "family", [f for f in READ if not f.inside], ids=lambda family: family.name
)
def test_encoders_of_blocks_rank_and_trim(family: Family) -> None:
    """They work through the ranker; what a sentence leans on is an error that says what to do."""
    model = tiny_seq2seq(family.config)
    ranker = AttentionRanker(model, seq2seq_tokenizer(), heads=[(0, 1), (1, 0)])
    texts = ["Numbers are made of words. The river runs.", "Trains and music. Books are words."]
    ranking = ranker.trim("Who runs?", texts, keep_ratio=0.5)
    assert 0 < sum(ranking.scores) < 1
    spans = [span for chunk in (*ranking.chunks, *ranking.dropped) for span in chunk.spans]
    assert {span.kept for span in spans} == {True, False}
    with pytest.raises(UnsupportedModelError, match="leave out resolve_context"):
        ranker.trim("Who runs?", texts, keep_ratio=0.5, resolve_context=True)


@pytest.mark.parametrize("family", [f for f in READ if f.inside], ids=lambda family: family.name)
def test_inside_the_encoder(family: Family) -> None:
    """Attention inside a chunk is the encoder's own, also where that is a band."""
    assert checks.gap_inside(tiny_seq2seq(family.config)) < 1e-5


@each_family
def test_proof_passes(family: Family) -> None:
    """The proof at load finds nothing wrong."""
    model = tiny_seq2seq(family.config)
    prove_cross(CrossReader(model, checks.HEADS), model)


@pytest.mark.parametrize("key_block", [1, 10])
@pytest.mark.parametrize("build", [tiny_seq2seq, tiny_bart])
def test_blocks_give_the_same(build: Any, key_block: int) -> None:
    """Keys looked at in parts, merged, give what keys looked at together give."""
    assert checks.gap_to_eager(build(), key_block=key_block) < 1e-5


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_refused(family: Family) -> None:
    """A family that cannot be read says so, and what to pass instead."""
    model = tiny_seq2seq(family.config)
    with pytest.raises(UnsupportedModelError, match=str(family.refused)):
        prove_cross(CrossReader(model, checks.HEADS), model)


def test_decoder_is_refused() -> None:
    """A decoder has no cross-attention to read."""
    with pytest.raises(UnsupportedModelError, match=r"is a decoder.*cross-attention"):
        CrossReader(tiny_model(), checks.HEADS)


@pytest.mark.parametrize("family", [READ[0], READ[4], READ[8]], ids=lambda family: family.name)
def test_value_norm(family: Family) -> None:
    """Weighed by the norm of the values, attention is the share that worked out by hand is."""
    model = tiny_seq2seq(family.config)
    reader = CrossReader(model, checks.HEADS, keeps_values=True)
    found = checks.look(reader, [0, 1, 2], value_norm=True)[0]
    own = checks.eager(model, checks.QUERIES[0]).mean(dim=1)
    with torch.inference_mode():
        states = torch.cat(
            [model.get_encoder()(torch.tensor([chunk]))[0] for chunk in checks.CHUNKS], dim=1
        )[0]
    norms = torch.stack([_values(model, layer, states)[:, head] for layer, head in checks.HEADS])
    shares = own * norms.norm(dim=-1)
    assert torch.allclose(found, shares / shares.sum(dim=1, keepdim=True), atol=1e-5)
    assert not torch.allclose(found, own, atol=1e-3)


def _values(model: Any, layer: int, states: torch.Tensor) -> torch.Tensor:
    """Values of a layer's cross-attention, `[token, head, dim]`."""
    decoder = model.get_decoder()
    if hasattr(decoder, "block"):
        project = decoder.block[layer].layer[1].EncDecAttention.v
    else:
        project = decoder.layers[layer].encoder_attn.v_proj
    with torch.inference_mode():
        return project(states).unflatten(1, (4, -1))


@pytest.mark.parametrize("build", [tiny_seq2seq, tiny_bart])
def test_logs_are_scores_up_to_a_number_for_each_head(build: Any) -> None:
    """Mean logarithms differ from mean logarithms of eager attention by nothing."""
    model = build()
    reader = CrossReader(model, checks.HEADS)
    states = reader.read(checks.CHUNKS)
    query = checks.QUERIES[0]
    logs = reader.look([[reader.start_token, *query]], [len(query)], states).logs[0]
    assert torch.allclose(logs, checks.eager(model, query).log().mean(dim=1), atol=1e-4)


def test_layers_above_the_last_head_are_not_there() -> None:
    """The view's decoder ends after the last selected head; the caller's does not."""
    model = tiny_seq2seq()
    reader = CrossReader(model, [(0, 1)])
    assert len(reader._view.decoder.block) == 1
    assert len(model.decoder.block) == 2


@pytest.mark.parametrize("build", [tiny_seq2seq, tiny_bart])
def test_model_is_not_changed(build: Any) -> None:
    """The caller's model generates the same before and after, and its config stays."""
    model = build()
    ids = torch.tensor([checks.CHUNKS[0]])
    options = {"max_new_tokens": 8, "do_sample": False}
    config, keys = model.config.to_dict(), list(model.state_dict())
    implementation = model.config._attn_implementation
    before = model.generate(ids, **options)
    reader = CrossReader(model, checks.HEADS)
    prove_cross(reader, model)
    checks.look(reader, [0, 1, 2])
    reader.look_inside(checks.CHUNKS[:1], [[[0]]])
    assert torch.equal(model.generate(ids, **options), before)
    assert model.config.to_dict() == config
    assert model.config._attn_implementation == implementation
    assert list(model.state_dict()) == keys
    assert not any(module._forward_hooks for module in model.modules())


def test_weights_are_shared() -> None:
    """The view has the caller's tensors, not copies."""
    model = tiny_bart()
    own = {parameter.data_ptr() for parameter in model.parameters()}
    reader = CrossReader(model, checks.HEADS)
    assert all(parameter.data_ptr() in own for parameter in reader._view.parameters())


def test_proof_finds_a_wrong_reader() -> None:
    """A reader that gives something else than the model's own attention is found out."""
    model = tiny_bart()
    reader = CrossReader(model, [(0, 1), (1, 0)])
    prove_cross(reader, model)
    other = tiny_seq2seq(model.config, seed=1)
    with pytest.raises(UnsupportedModelError, match="differs from its eager attention"):
        prove_cross(reader, other)


def test_nan_is_an_error() -> None:
    """NaN in the attention names the layer and the dtype."""
    model = tiny_seq2seq()
    reader = CrossReader(model, checks.HEADS)
    with torch.no_grad():
        model.decoder.block[1].layer[1].EncDecAttention.q.weight.fill_(float("nan"))
    with pytest.raises(CaptureError, match=r"layer 1 has NaN.*float32"):
        checks.look(reader, [0])


def test_no_start_token_is_an_error() -> None:
    """A config that does not say what the decoder starts with is an error that says what to do."""
    model = tiny_seq2seq()
    model.config.decoder_start_token_id = None
    with pytest.raises(UnsupportedModelError, match="decoder_start_token_id"):
        _ = CrossReader(model, checks.HEADS).start_token


def test_shared_pair_keeps_implementations_apart() -> None:
    """All configs of a view name its attention, none of the caller's does."""
    model = tiny_seq2seq()
    reader = CrossReader(model, checks.HEADS)
    view = shared_pair(reader._view, n_layers=1, implementation="eager")
    assert view.decoder.config._attn_implementation == "eager"
    assert reader._view.decoder.config._attn_implementation == "attnmass_cross"
    assert model.decoder.config._attn_implementation == "sdpa"


def test_table_on_page() -> None:
    """The documentation's table is what the checks find."""
    assert on_page("seq2seq") == render_table()
