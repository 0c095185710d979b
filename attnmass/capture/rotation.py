"""Rotary embeddings, as transformers' modules are given them."""

from __future__ import annotations

import inspect
from typing import Any, Final

from torch import Tensor, nn

EMBEDDINGS: Final = "position_embeddings"  # what transformers calls the rotation, a pair of tensors


def rotary_attention(layer: nn.Module) -> nn.Module | None:
    """The one module of a layer that is told how to rotate its vectors, if there is one."""
    found = [
        module
        for module in layer.modules()
        if module is not layer
        and hasattr(module, "layer_idx")
        and EMBEDDINGS in inspect.signature(module.forward).parameters
    ]
    return found[0] if len(found) == 1 else None


def at_position(rotation: Any, position: int) -> Any:
    """The rotation of one position, to be shared by all tokens."""
    if isinstance(rotation, Tensor):  # [..., token, dim]
        return rotation[..., position : position + 1, :].clone()
    return tuple(at_position(part, position) for part in rotation)
