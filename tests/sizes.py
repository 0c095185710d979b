"""Sizes of small models, each by the names that its families have for them: four heads."""

from __future__ import annotations

from typing import Any


def sizes(vocab_size: int, layers: int, positions: int, **more: Any) -> dict[str, Any]:
    """As most decoders and encoders call them.

    Args:
        vocab_size: Tokens in the vocabulary.
        layers: Layers.
        positions: Tokens that the model can place.
        **more: What else is said of the model.
    """
    return {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "max_position_embeddings": positions,
        **more,
    }


def bart_sizes(vocab_size: int, width: int = 32, **more: Any) -> dict[str, Any]:
    """As BART and its kin call them: two layers on either side."""
    sides = {
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in {"layers": 2, "attention_heads": 4, "ffn_dim": 2 * width}.items()
    }
    return {"vocab_size": vocab_size, "d_model": width, **sides, **more}


def t5_sizes(vocab_size: int, width: int = 32, **more: Any) -> dict[str, Any]:
    """As T5 and its kin call them: two layers on either side."""
    size = {"d_model": width, "d_kv": width // 4, "d_ff": 2 * width}
    return {"vocab_size": vocab_size, **size, "num_layers": 2, "num_heads": 4, **more}
