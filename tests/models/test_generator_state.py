"""A generator says the same before and after a ranker reads it, whoever runs it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from attnmass import AttentionRanker, UnsupportedModelError
from tests.models import changing
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
]
HEADS = ((0, 1), (1, 0), (1, 3))


def packed() -> Any:
    """Layers that move their weights into an object of their own when they first run."""
    return _with(lambda layer: changing.Packed(layer).eval())


def int8() -> Any:
    """Layers of bitsandbytes in 8 bits."""
    bits = pytest.importorskip("bitsandbytes").nn

    def make(layer: nn.Linear) -> Any:
        made = bits.Linear8bitLt(
            layer.in_features, layer.out_features, bias=False, has_fp16_weights=False
        )
        weight = layer.weight.data.half()
        made.weight = bits.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
        return made.to("cpu").eval()

    return _with(make)


def nf4() -> Any:
    """Layers of bitsandbytes in 4 bits."""
    bits = pytest.importorskip("bitsandbytes").nn

    def make(layer: nn.Linear) -> Any:
        made = bits.Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=torch.float32
        )
        weight = layer.weight.data.clone()
        made.weight = bits.Params4bit(weight, requires_grad=False, quant_type="nf4")
        return made.to("cpu").eval()

    return _with(make)


def half() -> Any:
    """A model in float16."""
    return tiny_model(gain=2.0).half()


def bfloat16() -> Any:
    """A model in bfloat16."""
    return tiny_model(gain=2.0).bfloat16()


def adapted() -> Any:
    """A model with adapters in its layers."""
    model = tiny_model(gain=2.0)
    changing.adapt(model)
    return model


def dispatched() -> Any:
    """A model with accelerate's hooks around all modules, which are in memory."""
    from accelerate import dispatch_model

    return dispatch_model(tiny_model(gain=2.0), {"": "cpu"}, force_hooks=True)


def compiled() -> Any:
    """A model whose layers are compiled, each in its place."""
    model = tiny_model(gain=2.0)
    for layer in model.model.layers:
        layer.compile(backend="eager")
    return model


def training() -> Any:
    """A model that is being trained."""
    model = tiny_model(gain=2.0).train()
    changing.adapt(model)
    return model


def _with(make: Callable[[nn.Linear], nn.Module]) -> Any:
    """A small model with other linear layers; bitsandbytes needs 64 numbers in a row."""
    config = tiny_model().config
    config.hidden_size, config.intermediate_size, config.head_dim = 64, 128, 16
    model = tiny_model(config, gain=2.0)
    for parent, name, child in changing.linears(model):
        setattr(parent, name, make(child))
    return model


def generate(model: Any) -> torch.Tensor:
    """Logits of every step of a short answer."""
    found = model.generate(
        torch.tensor([[5, 6, 7, 8]]),
        attention_mask=torch.ones(1, 4, dtype=torch.long),
        max_new_tokens=4,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return torch.stack(found.logits)


KINDS = [packed, int8, nf4, half, bfloat16, adapted, dispatched, compiled, training]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
@pytest.mark.parametrize("layout", ["late", "parallel", "joint"])
@pytest.mark.parametrize("first", ["generate", "build", "rank"])
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_logits_are_the_same_to_the_bit(make: Callable[[], Any], first: str, layout: str) -> None:
    """In every order of first use a generator's logits are those that it has alone."""
    expected = generate(make())
    assert torch.isfinite(expected).all()
    model = make()
    modes = [module.training for module in model.modules()]
    if first == "generate":
        generate(model)
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout)
    if first == "build":
        assert torch.equal(generate(model), expected)
    scores = ranker.rank(QUERY, CHUNKS).scores
    assert torch.equal(generate(model), expected)
    assert ranker.rank(QUERY, CHUNKS).scores == scores
    assert torch.equal(generate(model), expected)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.filterwarnings("ignore:You are calling .generate.. with the `input_ids`:UserWarning")
@pytest.mark.parametrize("layout", ["late", "parallel", "joint"])
def test_offloaded_weights_are_refused(layout: str, tmp_path: Path) -> None:
    """Weights that lie on a disk between passes are refused, and the generator is as it was."""
    from accelerate import disk_offload

    model = disk_offload(tiny_model(gain=2.0), str(tmp_path), torch.device("cpu"))
    expected = generate(model)
    with pytest.raises(UnsupportedModelError, match=r"not in memory .*without offloading"):
        AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout=layout)
    assert torch.equal(generate(model), expected)


def test_layers_above_may_be_offloaded(tmp_path: Path) -> None:
    """Only what is read has to be in memory."""
    from accelerate import dispatch_model

    places: dict[str, Any] = {"model.layers.2": "disk", "model.norm": "cpu", "lm_head": "cpu"}
    places |= {f"model.{name}": "cpu" for name in ("embed_tokens", "layers.0", "layers.1")}
    places["model.rotary_emb"] = "cpu"
    model = dispatch_model(
        tiny_model(gain=2.0), places, main_device="cpu", offload_dir=str(tmp_path)
    )
    expected = generate(model)
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS)
    plain = AttentionRanker(tiny_model(gain=2.0), tiny_tokenizer(), heads=HEADS)
    assert ranker.rank(QUERY, CHUNKS).scores == plain.rank(QUERY, CHUNKS).scores
    assert torch.equal(generate(model), expected)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")  # PEFT's own
def test_adapters_of_peft() -> None:
    """What PEFT does to a model is followed: other adapters, none, merged and rescaled ones."""
    peft = pytest.importorskip("peft")
    base = tiny_model(gain=2.0)
    ranker = AttentionRanker(base, tiny_tokenizer(), heads=HEADS)
    plain = ranker.rank(QUERY, CHUNKS).scores
    seen = {plain}

    def changed(*, is_new: bool = True) -> tuple[float, ...]:
        new = AttentionRanker(base, tiny_tokenizer(), heads=HEADS, memory_bytes=0)
        scores = ranker.rank(QUERY, CHUNKS).scores
        assert scores == new.rank(QUERY, CHUNKS).scores
        assert (scores not in seen) is is_new
        seen.add(scores)
        return scores

    config = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj", "gate_proj"])
    model = peft.get_peft_model(base, config)
    model.add_adapter("other", peft.LoraConfig(r=2, target_modules=["k_proj"]))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    first = changed()
    model.set_adapter("other")
    changed()
    with model.disable_adapter():
        assert changed(is_new=False) == plain
    model.set_adapter("default")
    assert changed(is_new=False) == first
    model.merge_adapter()
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(first, abs=1e-5)
    model.unmerge_adapter()
    for module in model.modules():
        scaling = getattr(module, "scaling", None)
        if isinstance(scaling, dict):
            scaling.update({name: value * 3 for name, value in scaling.items()})
    changed()
