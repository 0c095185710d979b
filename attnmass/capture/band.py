"""Attention inside encoders that look at a window around each token."""

from __future__ import annotations

import torch
from torch import Tensor


def dense(weights: Tensor, n_heads: int, n_tokens: int) -> Tensor:
    """Attention inside an encoder as `[batch, head, token, key]`.

    LED's is given as a band, `[batch, token, head, distance]`: column `c` of token `i` is the
    weight on token `i + c - w`, for a window of `w` tokens to each side.
    """
    if weights.shape[1:] == (n_heads, n_tokens, n_tokens):
        return weights
    band = weights[:, :n_tokens].transpose(1, 2)
    reach = (band.shape[-1] - 1) // 2
    places = torch.arange(n_tokens, device=band.device)
    distance = places[None] - places[:, None] + reach  # [token, key]
    inside = (distance >= 0) & (distance <= 2 * reach)
    index = distance.clamp(0, 2 * reach).expand(*band.shape[:2], -1, -1)
    return band.gather(-1, index) * inside
