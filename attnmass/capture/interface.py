"""The functions that a view names as its attention, mask and cache in transformers' interfaces."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache

from attnmass.capture.forward import ACTIVE, MaskFunction
from attnmass.capture.rule import ScoreRule
from attnmass.errors import UnsupportedModelError

# A view names one of these in its own config; no other model ever sees them.
INTERFACE = "attnmass"
EAGER = "attnmass_eager"


def attention_function(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """What views name as their attention; see `transformers.AttentionInterface`."""
    if attention_mask is None:
        raise UnsupportedModelError(
            f"{type(module).__name__} builds its own attention mask, not through transformers' "
            "mask interface: pass a model from the documentation's table of families."
        )
    if kwargs.get("position_bias") is not None:
        raise UnsupportedModelError(
            f"{type(module).__name__} adds a position bias to its scores that follows the index of "
            "a key, not its position, so chunks cannot share positions in the parallel layout."
        )
    rule = ScoreRule.handed(query, scaling, kwargs)
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    out = ACTIVE.get().attend(layer, query, key, value, attention_mask, rule)
    return out, None


def mask_by_position(*, mask_function: MaskFunction, use_vmap: bool = False, **_: object) -> Tensor:
    """What views name as their mask; see `transformers.AttentionMaskInterface`."""
    if use_vmap:
        raise UnsupportedModelError(
            "this model adds a mask of its own to the causal one, which the parallel layout cannot "
            "move to other positions: pass a plain causal decoder."
        )
    return ACTIVE.get().mask(mask_function)


def additive_mask_by_position(*, dtype: torch.dtype = torch.float32, **kwargs: Any) -> Tensor:
    """The same for a family's own eager attention: 0, or the dtype's minimum where blocked."""
    allowed = mask_by_position(**kwargs)
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)


class PassCache(Cache):
    """Gives a family's own eager attention the past of the active pass, and keeps what it adds."""

    def __init__(self) -> None:
        super().__init__(layers=[])

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values, past and new, `[batch, kv_head, key, dim]` each."""
        active = ACTIVE.get()
        active.store(key_states, value_states, layer_idx)
        keys = active.with_past(key_states, layer_idx, "keys")
        if layer_idx == active.last_layer:  # values were not kept and are not needed
            shape = (*keys.shape[:-1], value_states.shape[-1])
            return keys, value_states.new_zeros(shape)
        return keys, active.with_past(value_states, layer_idx, "values")

    def get_seq_length(self, layer_idx: int = 0, **_: Any) -> int:
        """Tokens before the new ones."""
        return sum(len(part) for part in ACTIVE.get().past)

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Tokens before the new ones."""
        return self.get_seq_length()

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Number of keys and the index of the first."""
        return self.get_seq_length() + query_length, 0


AttentionInterface.register(INTERFACE, attention_function)
AttentionMaskInterface.register(INTERFACE, mask_by_position)
AttentionMaskInterface.register(EAGER, additive_mask_by_position)


def cached(model: Any, cache: Cache | None) -> dict[str, Cache]:
    """A cache under the argument name that a model takes it by, which transformers 5.24 changed."""
    if cache is None:
        return {}
    known = inspect.signature(model.forward).parameters
    return {"cache" if "cache" in known else "past_key_values": cache}
