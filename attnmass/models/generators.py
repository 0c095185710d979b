"""The model inside what a pipeline generates with; no framework in here, only their shapes."""

from __future__ import annotations

from typing import Any

from torch import nn

from attnmass.errors import UnsupportedModelError

# What wrappers call what they wrap: LangChain's bound runnables and chat models, and its pipelines.
_INSIDE = ("bound", "llm", "pipeline")

# What holders call their model and its tokenizer: LlamaIndex's HuggingFaceLLM, and transformers'
# own pipelines.
_PARTS = (("_model", "_tokenizer"), ("model", "tokenizer"))

_DEEPEST = 8  # wrappers in wrappers


def find_generator(generator: Any, tokenizer: Any = None) -> tuple[nn.Module, Any]:
    """Model and tokenizer of a generator; nothing in it is changed.

    Args:
        generator: LlamaIndex's `HuggingFaceLLM`, LangChain's `HuggingFacePipeline` or
            `ChatHuggingFace` (bound to options or not), a transformers pipeline, or any
            transformers model.
        tokenizer: Its tokenizer, needed where a model is passed; default: the generator's own.

    Raises:
        UnsupportedModelError: If there is no model in it, as in a client of a server.
        ValueError: If there is no tokenizer.
    """
    found = generator
    for _ in range(_DEEPEST):
        if isinstance(found, nn.Module):
            return _with_tokenizer(generator, found, tokenizer)
        for model, its in _PARTS:
            if isinstance(getattr(found, model, None), nn.Module):
                known = getattr(found, its, None) if tokenizer is None else tokenizer
                return _with_tokenizer(generator, getattr(found, model), known)
        inner = (getattr(found, name, None) for name in _INSIDE)
        found = next((each for each in inner if each is not None), None)
        if found is None:
            break
    raise UnsupportedModelError(
        f"{type(generator).__name__} holds no transformers model in this process: pass "
        "LlamaIndex's HuggingFaceLLM, LangChain's HuggingFacePipeline or a ChatHuggingFace around "
        "one, a pipeline of transformers, or a model with tokenizer=..."
    )


def _with_tokenizer(generator: Any, model: nn.Module, tokenizer: Any) -> tuple[nn.Module, Any]:
    if tokenizer is None:
        raise ValueError(
            f"{type(generator).__name__} comes without its tokenizer: pass tokenizer=..."
        )
    return model, tokenizer
