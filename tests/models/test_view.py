"""The caller's model is read, never written to."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from torch import nn

from attnmass import AttentionRanker
from attnmass.capture import Reader
from tests.tiny import tiny_model, tiny_tokenizer

HEADS = ((1, 0), (1, 3))
CHUNKS = ["Albert Einstein developed it.", "The river runs through the city.", "Trains and books."]


def generate(model: Any) -> torch.Tensor:
    """Greedy continuation with scores."""
    out = model.generate(
        torch.tensor([[5, 6, 7]]),
        max_new_tokens=8,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
    )
    return torch.stack(out.scores)


def test_model_generates_as_before() -> None:
    """Generation before and after ranking is identical, and so are config and training mode."""
    model = tiny_model().train()
    config = copy.deepcopy(model.config.to_dict())
    implementation = model.config._attn_implementation
    before = generate(model.eval())
    model.train()
    AttentionRanker(model, tiny_tokenizer(), heads=HEADS).rank("who?", CHUNKS)
    assert model.training
    assert model.config.to_dict() == config
    assert model.config._attn_implementation == implementation
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(generate(model.eval()), before)


def test_weights_are_shared() -> None:
    """A view holds no copy of any weight, and no layer above the last selected head."""
    model = tiny_model()
    reader = Reader(model, HEADS)
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in reader._view.parameters()} <= own
    assert len(reader._view.layers) == 2
    assert len(model.model.layers) == 3


def test_ranking_while_another_thread_generates() -> None:
    """A pipeline's generator and a ranker over it do not disturb each other."""
    model = tiny_model()
    ranker = AttentionRanker(model, tiny_tokenizer(), heads=HEADS)
    expected_scores = ranker.rank("who?", CHUNKS).scores
    expected_text = generate(model)
    wrong: list[str] = []

    def keep_generating() -> None:
        for _ in range(10):
            if not torch.equal(generate(model), expected_text):
                wrong.append("generation changed")

    thread = threading.Thread(target=keep_generating)
    thread.start()
    for _ in range(10):
        if ranker.rank("who?", CHUNKS).scores != expected_scores:
            wrong.append("scores changed")
    thread.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch.compile's own
def test_wrapped_models_are_looked_through() -> None:
    """DataParallel and torch.compile wrappers give the same scores as the model inside."""
    model = tiny_model()
    expected = AttentionRanker(model, tiny_tokenizer(), heads=HEADS).rank("who?", CHUNKS).scores
    for wrapped in (nn.DataParallel(model), torch.compile(model)):
        ranker = AttentionRanker(wrapped, tiny_tokenizer(), heads=HEADS)
        assert ranker.rank("who?", CHUNKS).scores == expected


def test_base_model_gives_the_same_as_with_head() -> None:
    """The language-model head plays no part."""
    model = tiny_model()
    with_head = AttentionRanker(model, tiny_tokenizer(), heads=HEADS)
    without = AttentionRanker(model.model, tiny_tokenizer(), heads=HEADS)
    assert with_head.rank("who?", CHUNKS).scores == without.rank("who?", CHUNKS).scores
