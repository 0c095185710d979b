"""Plain scaled dot-product attention, in whichever way is fastest where the tensors are."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_MOST_SCORES = 1 << 21  # scores of rows that are processed together: what a processor's cache holds


class Fused:
    """Attention of one forward pass, which gives every layer the same few masks."""

    def __init__(self) -> None:
        self._biases: list[tuple[Tensor, Tensor]] = []

    def __call__(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scaling: float
    ) -> Tensor:
        """Softmax attention.

        Args:
            query: `[batch, head, token, dim]`.
            key: `[batch, kv_head, key, dim]`.
            value: Likewise.
            mask: `[1, 1, token, key]`, `True` where a token may look.
            scaling: Factor on the products.

        Returns:
            `[batch, head, token, dim]`.
        """
        batch, n_heads, n_tokens, _ = query.shape
        group = n_heads // key.shape[1]
        # Heads that share keys become rows of one head: no copy of keys and values for each.
        rows = query.reshape(batch, key.shape[1], group * n_tokens, -1)
        if query.device.type == "cpu" and {x.dtype for x in (query, key, value)} == _BFLOAT16:
            out = _by_products(rows, key, value, self._bias(mask, group, query.dtype), scaling)
        else:
            out = functional.scaled_dot_product_attention(
                rows, key, value, attn_mask=mask.repeat(1, 1, group, 1), scale=scaling
            )
        return out.reshape(batch, n_heads, n_tokens, -1)

    def _bias(self, mask: Tensor, group: int, dtype: torch.dtype) -> Tensor:
        """What to add to scores for a mask, `[row, key]`; made once for all layers."""
        n_rows = group * mask.shape[2]
        for known, bias in self._biases:
            if known is mask and len(bias) == n_rows:
                return bias
        bias = torch.zeros(mask.shape[2:], dtype=dtype, device=mask.device)
        bias = bias.masked_fill_(~mask[0, 0], -math.inf).repeat(group, 1)
        self._biases.append((mask, bias))
        return bias


_BFLOAT16 = {torch.bfloat16}


def _by_products(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, scaling: float) -> Tensor:
    """Two products with a softmax between, all in bfloat16, as in eager attention.

    On CPUs with bfloat16 instructions it takes a third of the time of torch's fused kernel, which
    repacks keys for every few rows (`benchmarks/cpu.py`). Computing the scores of a few rows at a
    time bounds the memory.
    """
    batch, n_heads, n_rows, _ = query.shape
    n_keys = key.shape[2]
    step = max(1, _MOST_SCORES // (batch * n_heads * n_keys))
    keys = key.flatten(0, 1).transpose(1, 2)
    values = value.flatten(0, 1)
    rows = (query * scaling).flatten(0, 1)
    out = torch.cat(
        [
            torch.baddbmm(bias[start : start + step], rows[:, start : start + step], keys).softmax(
                dim=-1
            )
            @ values
            for start in range(0, n_rows, step)
        ],
        dim=1,
    )
    return out.reshape(batch, n_heads, n_rows, value.shape[-1])
