"""Every encoder family of the documentation's table, on a seeded three-layer model of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from attnmass import CaptureError, UnsupportedModelError
from attnmass.capture import EncoderReader, Passage, encoder, prove_encoder
from tests.capture import encoder_checks as checks
from tests.capture.encoders import READ, REFUSED, Encoder
from tests.tiny import tiny_model
from tests.tiny_encoder import tiny_encoder

each_encoder = pytest.mark.parametrize("family", READ, ids=lambda family: family.name)


def build(family: Encoder, **options: Any) -> Any:
    """A model of the family; the config is a copy."""
    return tiny_encoder(copy.deepcopy(family.config), **options)


def state(model: Any) -> tuple[dict[str, Any], str, dict[str, torch.Tensor], set[int]]:
    """Whatever of a model may not change."""
    hooks = {
        id(module)
        for module in model.modules()
        if module._forward_hooks or module._forward_pre_hooks
    }
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = copy.deepcopy(model.config.to_dict())
    return config, model.config._attn_implementation, weights, hooks


@each_encoder
def test_equals_eager(family: Encoder) -> None:
    """Passages of unlike length in one padded batch give each what a plain pass over it gives."""
    assert checks.gaps_to_eager(build(family)) < 1e-5


@each_encoder
def test_path_proof_and_room(family: Encoder) -> None:
    """The family is read in the way that the table says, proved at load, and its room is known."""
    model = build(family)
    reader = EncoderReader(model, checks.HEADS)
    prove_encoder(reader, model)
    assert reader.path == family.path
    assert reader.max_tokens == family.max_tokens
    full = Passage((5,) * family.max_tokens, (0,) * family.max_tokens, ((0,),))
    assert float(reader.look([full])[0].groups.sum()) == pytest.approx(len(checks.HEADS), abs=1e-4)


@each_encoder
def test_layers_above_are_not_run(family: Encoder) -> None:
    """NaN in a layer above the last selected head is never seen, and no weight is copied."""
    model = build(family)
    _, layers = encoder.find_layers(model)
    with torch.no_grad():
        for parameter in layers[2].parameters():
            parameter.fill_(float("nan"))
    reader = EncoderReader(model, checks.HEADS)
    seen = reader.look(checks.passages(model))
    assert all(torch.isfinite(one.groups).all() for one in seen)
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in reader._view.parameters()} <= own


@each_encoder
def test_model_is_as_before(family: Encoder) -> None:
    """Config, weights, hooks, mode and output of the caller's model are the same after reading."""
    model = build(family)
    ids = torch.tensor([checks.QUERY + checks.CHUNKS[0]])
    with torch.inference_mode():
        before = model(input_ids=ids).last_hidden_state
    known = state(model)
    model.train()
    reader = EncoderReader(model, checks.HEADS)
    prove_encoder(reader, model)
    reader.look(checks.passages(model))
    assert model.training
    model.eval()
    found = state(model)
    assert (found[0], found[1], found[3]) == (known[0], known[1], known[3])
    assert all(torch.equal(found[2][name], tensor) for name, tensor in known[2].items())
    with torch.inference_mode():
        assert torch.equal(model(input_ids=ids).last_hidden_state, before)


@each_encoder
def test_logit_is_the_models_own(family: Encoder) -> None:
    """With its classification head asked, a padded batch gives the model's own logits."""
    model = build(family, n_labels=1)
    reader = EncoderReader(model, checks.HEADS, with_logit=True)
    prove_encoder(reader, model)
    batch = checks.passages(model)
    takes = checks.takes_types(model.base_model)
    for passage, seen in zip(batch, reader.look(batch), strict=True):
        inputs = {"input_ids": torch.tensor([passage.ids])}
        if takes and model.config.type_vocab_size > 1:
            inputs["token_type_ids"] = torch.tensor([passage.types])
        with torch.inference_mode():
            expected = float(model(**inputs).logits[0, 0])
        assert seen.logit == pytest.approx(expected, abs=1e-5, rel=1e-5)


@each_encoder
def test_bfloat16(family: Encoder) -> None:
    """In bfloat16 the family is proved all the same, and stays near its float32 attention."""
    model = build(family)
    exact = EncoderReader(model, checks.HEADS).look(checks.passages(model))
    half = copy.deepcopy(model).bfloat16()
    reader = EncoderReader(half, checks.HEADS)
    prove_encoder(reader, half)
    for one, other in zip(reader.look(checks.passages(half)), exact, strict=True):
        assert one.groups.dtype == torch.float32
        assert float((one.groups - other.groups).abs().sum(dim=2).max()) / 2 < 0.1


@each_encoder
def test_swapped_heads_are_noticed(family: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes one head's attention for another's does not get past the proof."""
    model = build(family)
    reader = EncoderReader(model, checks.HEADS)
    right = reader.look

    def swapped(passages: Any) -> Any:
        return [
            encoder.Sight(one.groups.flip(1), one.to_watched.flip(0)) for one in right(passages)
        ]

    monkeypatch.setattr(reader, "look", swapped)
    with pytest.raises(UnsupportedModelError, match="differs from its eager attention"):
        prove_encoder(reader, model)


def test_nan_names_layer_and_dtype() -> None:
    """NaN in the attention is an error that names the layer and the dtype."""
    model = build(READ[0])
    with torch.no_grad():
        model.encoder.layer[1].attention.self.query.weight[:] = float("nan")
    with pytest.raises(CaptureError, match=r"layer 1 .*float32"):
        EncoderReader(model, checks.HEADS).look(checks.passages(model))


@pytest.mark.parametrize("family", REFUSED, ids=lambda family: family.name)
def test_what_cannot_be_read_is_refused(family: Encoder) -> None:
    """Encoders without layers of their own or without softmax over all tokens are refused."""
    model = build(family)
    with pytest.raises(UnsupportedModelError, match=str(family.refused)):
        prove_encoder(EncoderReader(model, checks.HEADS), model)


def test_decoder_is_refused() -> None:
    """A decoder is refused, with what to pass instead."""
    with pytest.raises(UnsupportedModelError, match="a decoder"):
        EncoderReader(tiny_model(), checks.HEADS)


def test_masses_are_not_uniform() -> None:
    """The tiny models' attention varies enough for these checks to be able to fail."""
    model = build(READ[0])
    attention = checks.eager_attention(model, checks.passages(model)[0])
    assert float(attention.max()) > 3 * float(attention.mean())
