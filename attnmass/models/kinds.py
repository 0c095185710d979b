"""What kind of transformer a model is, which decides how it can be read."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from attnmass.errors import UnsupportedModelError

Kind = Literal["decoder", "encoder", "encoder-decoder"]

ARTICLE: dict[Kind, str] = {
    "decoder": "a decoder",
    "encoder": "an encoder",
    "encoder-decoder": "an encoder-decoder",
}


def kind_of(config: Any) -> Kind:
    """The kind of model that a config describes."""
    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    is_encoder = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "encoder" if is_encoder and not getattr(config, "is_decoder", False) else "decoder"


def is_rag(model: nn.Module) -> bool:
    """Whether it is a Hugging Face RAG model, whose generator is what is read."""
    return getattr(getattr(bare(model), "config", None), "model_type", None) == "rag"


def unwrapped(model: nn.Module) -> Any:
    """The transformers model inside wrappers.

    These are `torch.compile`'s, `DataParallel`, PEFT's, and sentence-transformers' models.

    For a RAG model, it is the generator.

    Raises:
        UnsupportedModelError: If there is no such model.
    """
    inner = bare(model)
    if is_rag(model):
        inner = inner.generator
    elif _is_of_sentence_transformers(inner):
        inner = next((m for m in inner.modules() if isinstance(m, PreTrainedModel)), inner)
    if getattr(inner, "config", None) is None or not hasattr(inner, "get_decoder"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a transformers model: pass a PreTrainedModel "
            "(what AutoModelForCausalLM.from_pretrained returns) or a name to from_pretrained()."
        )
    return inner


def own_tokenizer(model: Any) -> Any:
    """The tokenizer that a sentence-transformers model brings along.

    Raises:
        TypeError: If it is any other model, which has none.
    """
    tokenizer = getattr(model, "tokenizer", None) if _is_of_sentence_transformers(model) else None
    if tokenizer is None:
        raise TypeError(
            f"{type(model).__name__} comes without a tokenizer: pass its fast tokenizer after "
            "the model"
        )
    return tokenizer


def count_labels(config: Any, name: str) -> int | None:
    """How many labels a model's sequence classification head has; `None` where it has no such head.

    Args:
        config: The model's config.
        name: The name of its class, as also in `config.architectures`.
    """
    is_classifier = name.endswith("ForSequenceClassification")
    return int(config.num_labels) if is_classifier else None


def count_embeddings(model: nn.Module) -> int:
    """How many tokens a model knows."""
    return embeddings_of(unwrapped(model))


def embeddings_of(inner: Any) -> int:
    """How many tokens a model without wrappers, or a view of one, knows."""
    table = inner.get_input_embeddings()
    return int(getattr(table, "num_embeddings", None) or inner.config.vocab_size)


def _is_of_sentence_transformers(model: Any) -> bool:
    # By name: importing sentence-transformers takes seconds.
    return any(
        base.__module__.partition(".")[0] == "sentence_transformers" for base in type(model).mro()
    )


def bare(model: nn.Module) -> Any:
    """What is inside the wrappers, whatever it is."""
    inner: Any = model
    if hasattr(inner, "get_base_model"):  # PEFT: the adapters sit inside the base model's layers
        _check_adapters(inner)
        inner = inner.get_base_model()
    inner = getattr(inner, "_orig_mod", inner)  # torch.compile
    if isinstance(inner, nn.DataParallel):
        inner = inner.module
    return inner


def _check_adapters(model: Any) -> None:
    """Raise `UnsupportedModelError` for adapters of PEFT that are not in layers."""
    for name, config in getattr(model, "peft_config", {}).items():
        if getattr(config, "is_prompt_learning", False):
            raise UnsupportedModelError(
                f"the adapter {name!r} puts virtual tokens before every text, which are read by "
                "the wrapper alone: pass the base model (get_base_model()), or an adapter that is "
                "in the layers, such as LoRA"
            )
