"""A ranker follows what becomes of its model, whatever its layout, or refuses it."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import (
    AlignDevicesHook,
    ModelHook,
    add_hook_to_module,
    remove_hook_from_module,
)
from torch import nn

from attnmass import AttentionRanker, UnsupportedModelError
from tests.models import changing
from tests.models.changing import Change, hooked
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_encoder import tiny_encoder, wordpiece_tokenizer
from tests.tiny_seq2seq import seq2seq_tokenizer, tiny_bart, tiny_seq2seq

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
    "Trains, books and music are made of words and numbers.",
]
HEADS = ((0, 1), (1, 0), (1, 3))
MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "late": (lambda: tiny_model(gain=4.0), tiny_tokenizer),
    "parallel": (lambda: tiny_model(gain=4.0), tiny_tokenizer),
    "joint": (lambda: tiny_model(gain=4.0), tiny_tokenizer),
    "encoder": (tiny_encoder, wordpiece_tokenizer),
    "T5": (tiny_seq2seq, seq2seq_tokenizer),
    "BART": (tiny_bart, lambda: seq2seq_tokenizer("bart")),
}
DECODERS = ("late", "parallel", "joint")
EVERY = pytest.mark.parametrize("kind", MODELS)


def make(kind: str, model: Any, **options: Any) -> AttentionRanker:
    """A ranker over a model of a kind."""
    layout = kind if kind in DECODERS else None
    return AttentionRanker(model, MODELS[kind][1](), heads=HEADS, layout=layout, **options)


def masses(ranker: AttentionRanker) -> list[Any]:
    """What the chunks get, by head and token, in full."""
    return [chunk.tolist() for chunk in ranker.attention(QUERY, CHUNKS).chunks]


def fresh(kind: str, model: Any) -> list[Any]:
    """What a ranker that was built now, and knows nothing, gives."""
    return masses(make(kind, model, memory_bytes=0 if kind != "joint" else 1))


CHANGES: list[Change] = [
    changing.assign,
    changing.replace,
    changing.replace_module,
    changing.write_around,
    changing.train_on,
    changing.sharpen,
    changing.convert,
    changing.patch,
    changing.adapt,
]


@EVERY
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changes_are_followed(kind: str, change: Change, tmp_path: Path) -> None:
    """What a model becomes is what is read, by a ranker that was there before and by its store."""
    model = MODELS[kind][0]()
    keeps = kind in ("late", "parallel", "T5", "BART")
    ranker = make(kind, model, **({"store": tmp_path} if keeps else {}))
    before = masses(ranker)
    assert masses(ranker) == before
    change(model)
    after = fresh(kind, model)
    if (change, kind) != (changing.sharpen, "T5"):  # which scales nothing
        assert after != before
    assert masses(ranker) == after
    assert masses(ranker) == after
    if keeps:
        assert masses(make(kind, model, store=tmp_path)) == after


@EVERY
def test_adapters_are_followed(kind: str, tmp_path: Path) -> None:
    """Adapters that are switched, rescaled, merged or disabled are read as they are, and back."""
    model = MODELS[kind][0]()
    plain = fresh(kind, model)
    changing.adapt(model)
    keeps = kind in ("late", "parallel", "T5", "BART")
    ranker = make(kind, model, **({"store": tmp_path} if keeps else {}))
    first = masses(ranker)
    seen = [plain, first]
    for change in (changing.rescale, changing.switch, changing.merge, changing.disable):
        changed = copy.deepcopy(model)
        change(model)
        now = masses(ranker)
        assert now == fresh(kind, model)
        if change is changing.merge:  # the same model, and not twice what was added
            assert torch.allclose(_flat(now), _flat(seen[-1]), atol=1e-3)
            for mine, its in zip(changing.adapters(model), changing.adapters(changed), strict=True):
                mine.merged = []
                mine.base_layer.weight.data.copy_(its.base_layer.weight)
        elif change is changing.disable:
            assert now == plain
        else:
            assert now not in seen
            seen.append(now)
    for each in changing.adapters(model):
        each.is_disabled, each.active, each.scaling["a"] = False, ["a"], 2.0
    assert masses(ranker) == first


def _flat(found: list[Any]) -> torch.Tensor:
    return torch.cat([torch.tensor(chunk).flatten() for chunk in found])


@EVERY
@pytest.mark.parametrize("before", [True, False])
def test_hooks_are_refused(kind: str, before: bool) -> None:
    """A hook on what is read is refused by name, never run by a ranker, and forgotten once gone."""
    model = MODELS[kind][0]()
    ranker = make(kind, model)
    expected = masses(ranker)
    with hooked(model, before=before) as calls:
        for ask in (lambda: masses(ranker), lambda: make(kind, model)):
            with pytest.raises(UnsupportedModelError, match=r"forward hook .*halve.*: remove it"):
                ask()
        assert calls == []
    assert masses(ranker) == expected


class _Halving(ModelHook):
    """A hook of accelerate's form that does more than move weights."""

    def post_forward(self, module: nn.Module, output: Any) -> Any:
        """Half of a tensor."""
        return output * 0.5 if isinstance(output, torch.Tensor) else output


@EVERY
@pytest.mark.parametrize("behind", [True, False], ids=["second", "first"])
def test_hooks_of_accelerates_form_are_refused(kind: str, behind: bool) -> None:
    """Its own, which move weights, change nothing; others are told by name, and forgotten."""
    model = MODELS[kind][0]()
    ranker = make(kind, model)
    expected = masses(ranker)
    for _, _, layer in changing.linears(model):
        add_hook_to_module(layer, AlignDevicesHook(execution_device="cpu"))
    assert masses(ranker) == masses(make(kind, model)) == expected
    for _, _, layer in changing.linears(model):
        add_hook_to_module(layer, _Halving(), append=behind)
        add_hook_to_module(layer, AlignDevicesHook(execution_device="cpu"), append=True)
    for ask in (lambda: masses(ranker), lambda: make(kind, model)):
        with pytest.raises(UnsupportedModelError, match=r"the hook _Halving, .*: remove it"):
            ask()
    remove_hook_from_module(model, recurse=True)
    assert masses(ranker) == expected


@EVERY
def test_hooks_on_every_module_are_refused(kind: str) -> None:
    """So is one that torch runs on all modules there are."""
    ranker = make(kind, MODELS[kind][0]())
    expected = masses(ranker)

    def double(module: nn.Module, args: Any, output: Any) -> Any:
        return output * 2 if isinstance(output, torch.Tensor) else output

    handle = nn.modules.module.register_module_forward_hook(double)
    try:
        with pytest.raises(UnsupportedModelError, match=r"every module has .*double"):
            masses(ranker)
    finally:
        handle.remove()
    assert masses(ranker) == expected


@pytest.mark.parametrize("kind", DECODERS)
def test_hooks_above_do_not_matter(kind: str) -> None:
    """A hook on the language-model head, or on layers that are not read, is nobody's concern."""
    model = MODELS[kind][0]()
    expected = fresh(kind, model)
    ranker = make(kind, model)
    handles = [
        module.register_forward_hook(lambda *_: None)
        for module in (model.lm_head, model.model.layers[2].mlp)
    ]
    assert masses(ranker) == fresh(kind, model) == expected
    for handle in handles:
        handle.remove()


@EVERY
def test_autocast_does_not_reach_in(kind: str, tmp_path: Path) -> None:
    """Under `torch.autocast` a ranker is built, reads and keeps what it does without."""
    model = MODELS[kind][0]()
    expected = fresh(kind, model)
    options = {"store": tmp_path} if kind in ("late", "parallel", "T5", "BART") else {}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ranker = make(kind, model, **options)
        assert masses(ranker) == expected
    assert masses(ranker) == expected
    assert masses(make(kind, model, **options)) == expected


@EVERY
def test_defaults_of_torch_do_not_reach_in(kind: str, tmp_path: Path) -> None:
    """Another default dtype or device changes nothing of what a ranker gives, or keeps."""
    model = MODELS[kind][0]()
    words = {"trim": None} if kind == "encoder" else {"query_words": kind not in ("T5", "BART")}
    ranking = make(kind, model).rank(QUERY, CHUNKS, **words)
    trimmed = make(kind, model).trim(QUERY, CHUNKS, keep_ratio=0.5)
    expected = fresh(kind, model)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            ranker = make(kind, model)
            assert masses(ranker) == expected
            assert ranker.rank(QUERY, CHUNKS, **words).scores == ranking.scores
            again = ranker.trim(QUERY, CHUNKS, keep_ratio=0.5)
            assert [chunk.spans for chunk in again.chunks] == [c.spans for c in trimmed.chunks]
            if kind not in ("encoder", "T5", "BART"):
                ranker.attribute(QUERY, CHUNKS, "Albert Einstein did.")
            ranker.inside(CHUNKS)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", DECODERS)
def test_training_mode_changes_nothing(kind: str) -> None:
    """Between training and evaluation a model gives the same, and stays in its mode."""
    model = MODELS[kind][0]()
    model.config.attention_dropout = 0.5
    ranker = make(kind, model)
    expected = masses(ranker)
    model.train()
    assert masses(ranker) == masses(make(kind, model, memory_bytes=1)) == expected
    assert all(module.training for module in model.modules())
    model.eval()
    assert masses(ranker) == expected
    assert not any(module.training for module in model.modules())


def test_a_change_that_breaks_a_model_is_an_error_until_it_is_mended() -> None:
    """What a model became is proved like a new model; a ranker goes on once it is right again."""
    model = tiny_model()
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS)
    expected = ranker.rank(QUERY, CHUNKS).scores
    attention = model.model.layers[1].self_attn
    right = attention.q_proj
    attention.q_proj = nn.Linear(32, 32, bias=False)
    attention.q_proj.weight = nn.Parameter(torch.full((32, 32), torch.nan))
    for _ in range(2):
        with pytest.raises(Exception, match="NaN"):
            ranker.rank(QUERY, CHUNKS)
    attention.q_proj = right
    assert ranker.rank(QUERY, CHUNKS).scores == expected


@EVERY
def test_fewer_embeddings_are_refused(kind: str) -> None:
    """A model that lost tokens is an error that says what to do, and more of them are followed."""
    model = MODELS[kind][0]()
    ranker = make(kind, model)
    expected = masses(ranker)
    known = model.get_input_embeddings().num_embeddings
    kept = model.get_input_embeddings().weight.detach().clone()
    model.resize_token_embeddings(known + 64, mean_resizing=False)
    assert masses(ranker) == masses(make(kind, model)) == expected
    model.resize_token_embeddings(50, mean_resizing=False)
    for _ in range(2):
        with pytest.raises(UnsupportedModelError, match=r"50 tokens now, and knew .* new ranker"):
            masses(ranker)
    model.resize_token_embeddings(known, mean_resizing=False)
    model.get_input_embeddings().weight.data.copy_(kept)
    assert masses(ranker) == expected


def test_modules_that_never_rest_are_refused() -> None:
    """A layer whose state is another one after each pass has no identity, and is told of."""

    class Restless(nn.Linear):
        """Draws what it multiplies by anew."""

        factor = 1.0

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            self.factor = float(torch.rand(()))
            return super().forward(states)

    model = tiny_model()
    model.model.layers[0].mlp.up_proj = Restless(32, 64, bias=False).eval()
    with pytest.raises(UnsupportedModelError, match="change whenever it runs"):
        AttentionRanker(model, tiny_tokenizer(), heads=HEADS, layout="parallel")


def test_virtual_tokens_are_refused() -> None:
    """What PEFT puts before every text is in its wrapper, which is not what is read."""

    class Wrapper(nn.Module):
        """Looks like PEFT's model of a prompt."""

        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model
            self.peft_config = {"default": type("C", (), {"is_prompt_learning": True})()}

        def get_base_model(self) -> nn.Module:
            return self.model

    with pytest.raises(UnsupportedModelError, match="virtual tokens"):
        AttentionRanker(Wrapper(tiny_model()), tiny_tokenizer(), heads=HEADS)


@EVERY
def test_a_ranker_that_nobody_holds_is_gone_at_once(kind: str) -> None:
    """No part of a ranker holds another in a circle that only the garbage collector frees."""
    gc.collect()
    gc.disable()
    try:
        model = MODELS[kind][0]()
        ranker = make(kind, model)
        masses(ranker)
        ranker.rank(QUERY, CHUNKS)
        ranker.inside(CHUNKS)
        reader: Any = ranker._layout._reader  # type: ignore[attr-defined]
        parts = [weakref.ref(each) for each in (ranker, ranker._layout, reader, reader._view)]
        parts.append(weakref.ref(model))
        del ranker, reader, model
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()
