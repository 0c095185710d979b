"""What kind of transformer a model is, which decides how it can be read."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn
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
    """The transformers model inside wrappers of `torch.compile`, `DataParallel` and PEFT.

    Of a RAG model it is the generator.

    Raises:
        UnsupportedModelError: If there is none.
    """
    inner = bare(model)
    if is_rag(model):
        inner = inner.generator
    if getattr(inner, "config", None) is None or not hasattr(inner, "get_decoder"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a transformers model: pass a PreTrainedModel "
            "(what AutoModelForCausalLM.from_pretrained returns) or a name to from_pretrained()."
        )
    return inner


def bare(model: nn.Module) -> Any:
    """What is inside the wrappers, whatever it is."""
    inner: Any = model
    if hasattr(inner, "get_base_model"):  # PEFT: the adapters sit inside the base model's layers
        inner = inner.get_base_model()
    inner = getattr(inner, "_orig_mod", inner)  # torch.compile
    if isinstance(inner, nn.DataParallel):
        inner = inner.module
    return inner
