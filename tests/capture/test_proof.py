"""The proof at load has to fail where attention is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5Model,
)

from attnmass import AttentionRanker, CaptureError, UnsupportedModelError
from attnmass.capture import Reader, proof, prove
from attnmass.capture.forward import ForwardPass
from tests.sizes import sizes, t5_sizes
from tests.tiny import tiny_model, tiny_tokenizer

HEADS = ((0, 1), (1, 2))


def test_wrong_positions_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that ignores positions does not get past the proof."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    original = ForwardPass.__init__

    def from_zero(self: ForwardPass, positions: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        original(self, positions - positions[0], *args, **kwargs)

    monkeypatch.setattr(ForwardPass, "__init__", from_zero)
    with pytest.raises(UnsupportedModelError, match="differs from its eager attention"):
        prove(reader, model)


def test_dropped_mask_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose tokens look ahead does not get past the proof."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    monkeypatch.setattr(
        ForwardPass,
        "mask",
        lambda self, rule: torch.ones(
            1, 1, len(self.positions), len(self.positions) + sum(map(len, self.past))
        ).bool(),
    )
    with pytest.raises(UnsupportedModelError, match="differs"):
        prove(reader, model)


def test_order_of_chunks_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader whose result depends on the order of the chunks does not get past the proof."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    original = Reader.look

    def favour_first(self: Reader, ids: Any, positions: Any, past: Any, rows: Any) -> torch.Tensor:
        found = original(self, ids, positions, past, rows)
        if len(past) > 2:
            found[:, :, 3] += 0.1
        return found

    monkeypatch.setattr(Reader, "look", favour_first)
    with pytest.raises(UnsupportedModelError, match="in another order"):
        prove(reader, model)


def test_swapped_heads_are_noticed_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16, too, another head's attention does not pass for this one's."""
    model = tiny_model().bfloat16()
    prove(Reader(model, HEADS), model)
    reader = Reader(model, HEADS)
    original = Reader.look
    monkeypatch.setattr(Reader, "look", lambda self, *a, **k: original(self, *a, **k).flip(1))
    with pytest.raises(UnsupportedModelError, match="differs"):
        prove(reader, model)


def test_nan_names_layer_and_dtype() -> None:
    """NaN in the attention is an error that names the layer and the dtype."""
    model = tiny_model()
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight[:] = float("nan")
    with pytest.raises(CaptureError, match=r"layer 1 .*float32"):
        AttentionRanker(model, tiny_tokenizer(), heads=((1, 0),))


def test_encoder_is_refused() -> None:
    """An encoder is refused by the parallel layout, with what to pass instead."""
    with pytest.raises(UnsupportedModelError, match="encoder"):
        Reader(BertModel(BertConfig(**sizes(101, 2, 64))), HEADS)


def test_encoder_decoder_is_refused() -> None:
    """An encoder-decoder is refused by the parallel layout, with what to pass instead."""
    with pytest.raises(UnsupportedModelError, match="encoder-decoder"):
        Reader(T5Model(T5Config(**t5_sizes(101))), HEADS)


def test_not_a_model_is_refused() -> None:
    """Something that is no transformers model is refused."""
    with pytest.raises(UnsupportedModelError, match="not a transformers model"):
        Reader(torch.nn.Linear(2, 2), HEADS)


def qwen(seed: int) -> Qwen2ForCausalLM:
    """A model in bfloat16 with large biases, as those of Qwen2.5, which make logits coarse."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(Qwen2Config(**sizes(300, 3, 128, num_key_value_heads=2)))
    for layer in model.model.layers:
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            torch.nn.init.normal_(part.bias, std=30.0)
            torch.nn.init.normal_(part.weight, std=0.3)
    return model.bfloat16().eval()


EVERY = tuple((layer, head) for layer in range(3) for head in range(4))


@pytest.fixture(scope="module")
def loud() -> Qwen2ForCausalLM:
    """Such a model, one whose attention differs from eager by more than the usual bound."""
    for seed in range(30):
        model = qwen(seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proof, "is_half", lambda reader: False)
            try:
                prove(Reader(model, EVERY), model)
            except UnsupportedModelError:
                return model
    raise AssertionError("no such model was found")


def test_models_with_coarse_logits_are_not_refused(loud: Qwen2ForCausalLM) -> None:
    """What rounding moves further than the usual bound is proved in float32 instead."""
    before = {name: weight.clone() for name, weight in loud.state_dict().items()}
    prove(Reader(loud, EVERY), loud)
    assert all(torch.equal(weight, before[name]) for name, weight in loud.state_dict().items())


def test_coarse_logits_of_what_came_from_a_gguf_file(
    loud: Qwen2ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights are floats by then, though transformers marks the model as quantized."""
    monkeypatch.setattr(loud, "is_quantized", True, raising=False)
    monkeypatch.setattr(loud.model, "is_quantized", True, raising=False)
    with pytest.raises(ValueError, match="not supported for quantized"):
        loud.float()
    prove(Reader(loud, EVERY), loud)


@pytest.mark.parametrize("wrong", ["heads", "positions"])
def test_wrong_reader_of_a_model_with_coarse_logits(
    wrong: str, loud: Qwen2ForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof in float32 fails where any would."""
    reader = Reader(loud, EVERY)
    look, start = Reader.look, ForwardPass.__init__
    if wrong == "heads":
        monkeypatch.setattr(Reader, "look", lambda self, *a, **k: look(self, *a, **k).flip(1))
    else:
        monkeypatch.setattr(
            ForwardPass,
            "__init__",
            lambda self, positions, *a, **k: start(self, positions - positions[0], *a, **k),
        )
    with pytest.raises(UnsupportedModelError, match="differs from its eager"):
        prove(reader, loud)
