"""How many layers and heads a config gives a model, even one that was only partly loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attnmass.models.naming import unnamed

Head = tuple[int, int]

# On our own configs that were cut: how many layers the whole model has.
FULL_DEPTH = "attnmass_full_depth"

_SHAPE = (
    "model_type",
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
)

# What configs call these numbers, by whether the model is an encoder-decoder.
_DEPTHS: Mapping[bool, Sequence[str]] = {
    False: ("num_hidden_layers",),
    True: ("num_decoder_layers", "decoder_layers", "num_hidden_layers"),
}
_HEAD_COUNTS: Mapping[bool, Sequence[str]] = {
    False: ("num_attention_heads",),
    True: ("decoder_attention_heads", "num_heads", "num_attention_heads"),
}


def every_head(config: Any) -> list[Head]:
    """All `(layer, head)` of a model."""
    return [
        (layer, head) for layer in range(full_depth(config)) for head in range(head_count(config))
    ]


def fingerprint(config: Any) -> str:
    """Digest of the numbers that give a config its layers and heads; fine-tunes share it."""
    shape = {name: getattr(config, name, None) for name in _SHAPE}
    shape["num_hidden_layers"] = full_depth(config)
    rotary = getattr(config, "rope_parameters", None) or {}
    shape["rope_theta"] = float(rotary["rope_theta"]) if "rope_theta" in rotary else None
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]


def full_depth(config: Any) -> int:
    """Number of layers of the whole model, even where it was only partly loaded.

    For an encoder-decoder, those of the decoder, whose cross-attention is read.
    """
    return int(getattr(config, FULL_DEPTH, depth(config)))


def depth(config: Any) -> int:
    """The same for what is in memory, where a config of our own was cut."""
    return int(_first(config, _DEPTHS))


def head_count(config: Any) -> int:
    """Attention heads of a layer; for an encoder-decoder, those of its decoder."""
    return int(_first(config, _HEAD_COUNTS))


def key_head_of(config: Any, head: Head) -> Head:
    """`(layer, kv_head)` of the key vectors that a decoder's head looks at; others may share it."""
    shared = getattr(config, "num_key_value_heads", None) or head_count(config)
    layer, number = head
    return layer, number * int(shared) // head_count(config)


def name_of(config: Any) -> str:
    """What the model was loaded from, else what stands in for a name."""
    return str(getattr(config, "_name_or_path", None) or unnamed(config.model_type))


def _first(config: Any, names: Mapping[bool, Sequence[str]]) -> Any:
    """What a config calls a number, which families call differently."""
    known = names[bool(getattr(config, "is_encoder_decoder", False))]
    return next(getattr(config, name) for name in known if getattr(config, name, None) is not None)
