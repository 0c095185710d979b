"""The model inside what a pipeline generates with, and that nothing of it changes."""

from __future__ import annotations

import copy
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import pipeline

from attnmass import AttentionRanker, UnsupportedModelError
from attnmass.models.generators import find_generator
from tests.conftest import HEADS
from tests.tiny import tiny_model, tiny_tokenizer

QUERY = "Who developed the theory of relativity?"
CHUNKS = [
    "Albert Einstein, a physicist, developed the theory of relativity in 1905.",
    "The river runs through the city.",
]
LONG = {"max_new_tokens": 20, "do_sample": False}


def text_pipeline() -> Any:
    """A pipeline of transformers around the tiny model."""
    return pipeline("text-generation", model=tiny_model(), tokenizer=tiny_tokenizer(), **LONG)


def held_by_llama_index() -> Any:
    """What LlamaIndex's `HuggingFaceLLM` looks like inside."""
    return SimpleNamespace(_model=tiny_model(), _tokenizer=tiny_tokenizer())


def held_by_langchain() -> Any:
    """LangChain's pipeline."""
    package = pytest.importorskip("langchain_huggingface")
    return package.HuggingFacePipeline(pipeline=text_pipeline())


def chat_of_langchain() -> Any:
    """LangChain's chat model around its pipeline."""
    package = pytest.importorskip("langchain_huggingface")
    return package.ChatHuggingFace(llm=held_by_langchain(), tokenizer=tiny_tokenizer())


def bound_in_langchain() -> Any:
    """The same with options bound to it, as chains have it."""
    return chat_of_langchain().bind(stop=["x"])


MAKERS = [
    text_pipeline,
    held_by_llama_index,
    held_by_langchain,
    chat_of_langchain,
    bound_in_langchain,
]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_generator_is_the_rankers_model(make: Any) -> None:
    """The ranker of a generator scores as one of its model, and holds no weights of its own."""
    generator = make()
    ranker = AttentionRanker.from_generator(generator, heads=HEADS)
    expected = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=HEADS).rank(QUERY, CHUNKS)
    assert ranker.rank(QUERY, CHUNKS).scores == pytest.approx(expected.scores, abs=1e-6)
    model, _ = find_generator(generator)
    reader: Any = ranker._layout._reader  # type: ignore[attr-defined]
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in reader._view.parameters()} <= own


def test_a_model_needs_its_tokenizer() -> None:
    """A bare model is taken with a tokenizer, and refused without one."""
    ranker = AttentionRanker.from_generator(tiny_model(), tokenizer=tiny_tokenizer(), heads=HEADS)
    assert ranker.rank(QUERY, CHUNKS).chunks
    with pytest.raises(ValueError, match="pass tokenizer="):
        AttentionRanker.from_generator(tiny_model(), heads=HEADS)


@pytest.mark.parametrize("other", [SimpleNamespace(model="gpt-4"), None, "smollm2-135m"])
def test_a_client_of_a_server_is_refused(other: Any) -> None:
    """What holds no model in this process is an error that says what does."""
    with pytest.raises(UnsupportedModelError, match="no transformers model in this process"):
        AttentionRanker.from_generator(other)


def test_wrappers_without_end_are_refused() -> None:
    """A wrapper that holds itself is no generator."""
    loop = SimpleNamespace()
    loop.llm = loop
    with pytest.raises(UnsupportedModelError):
        find_generator(loop)


def generate(generator: Any) -> str:
    """What a pipeline says."""
    return str(generator("The theory of", return_full_text=False)[0]["generated_text"])


@pytest.mark.parametrize("layout", ["parallel", "joint"])
def test_generation_is_the_same_before_and_after(layout: str) -> None:
    """Ranking, trimming and attributing leave the generator, and what it says, as it was."""
    generator = text_pipeline()
    before = generate(generator)
    state = copy.deepcopy(generator.model.state_dict())
    config = generator.model.config.to_dict()
    tokenizer = generator.tokenizer.backend_tokenizer.to_str()
    ranker = AttentionRanker.from_generator(generator, heads=HEADS, layout=layout)
    ranker.trim(QUERY, CHUNKS, keep_ratio=0.5)
    ranker.attribute(QUERY, CHUNKS, "Albert Einstein did.")
    assert generate(generator) == before
    assert generator.model.config.to_dict() == config
    assert generator.tokenizer.backend_tokenizer.to_str() == tokenizer
    after = generator.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in state.items())
    hooked = [m for m in generator.model.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert not hooked


def test_generation_goes_on_while_another_thread_ranks() -> None:
    """A generator says the same, and a ranker scores the same, while both are at work."""
    generator = text_pipeline()
    ranker = AttentionRanker.from_generator(generator, heads=HEADS, memory_bytes=0)
    said, scores = generate(generator), ranker.rank(QUERY, CHUNKS).scores
    found: list[tuple[float, ...]] = []
    stop = threading.Event()

    def rank() -> None:
        while not stop.is_set():
            found.append(ranker.rank(QUERY, CHUNKS).scores)

    thread = threading.Thread(target=rank)
    thread.start()
    try:
        heard = [generate(generator) for _ in range(5)]
    finally:
        stop.set()
        thread.join()
    assert heard == [said] * 5
    assert found
    for each in found:
        assert each == pytest.approx(scores, abs=1e-6)
