"""Up to what length a model attends in one and the same way, going by its config."""

from __future__ import annotations

from typing import Any

from attnmass.models.rotary import CHANGING

_WINDOWED = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}


def first_regime(config: Any) -> int | None:
    """Up to how many positions rotary embeddings do not depend on their number, if they ever do."""
    said = getattr(config, "rope_parameters", None) or {}
    kinds = [said, *(kind for kind in said.values() if isinstance(kind, dict))]
    changing = [kind for kind in kinds if kind.get("rope_type") in CHANGING]
    bounds = [
        kind.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
        for kind in changing
    ]
    return min(map(int, bounds), default=None)


def reach(config: Any, n_layers: int) -> int | None:
    """Within how many positions tokens see each other in all of the first layers; `None`: no bound.

    Layers with sliding windows, or attention in pieces, do not see further.
    """
    kinds = list(getattr(config, "layer_types", None) or [])[:n_layers] or list(_WINDOWED)
    names = {_WINDOWED[kind] for kind in kinds if kind in _WINDOWED}
    bounds = [getattr(config, name, None) for name in names]
    return min((int(bound) for bound in bounds if bound), default=None)
