"""How families make attention from queries and keys, at once or key block by key block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScoreRule:
    """How a family makes scores from the products of queries and keys.

    Attributes:
        scaling: Factor on the products.
        softcap: Scores become `softcap * tanh(score / softcap)` (Gemma 2).
        sinks: A learned score by head that takes a share of every row (GPT-OSS), `[head]`.
    """

    scaling: float
    softcap: float | None = None
    sinks: Tensor | None = None

    @classmethod
    def handed(
        cls, query: Tensor, scaling: float | None, beside: Mapping[str, object]
    ) -> ScoreRule:
        """The rule in what a family passes to its attention function besides its tensors."""
        softcap, sinks = beside.get("softcap"), beside.get("s_aux")
        return cls(
            scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
            softcap=float(softcap) if isinstance(softcap, (int, float)) else None,
            sinks=sinks if isinstance(sinks, Tensor) else None,
        )

    @property
    def is_plain(self) -> bool:
        """Whether scaled dot-product attention can run it."""
        return self.softcap is None and self.sinks is None

    def of(self, heads: Sequence[int]) -> ScoreRule:
        """The rule of some of the heads."""
        sinks = None if self.sinks is None else self.sinks[list(heads)]
        return ScoreRule(self.scaling, self.softcap, sinks)

    def weights(self, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """Softmax attention in fp32, `[batch, head, row, key]`, as in eager attention.

        Args:
            query: `[batch, head, row, dim]`.
            key: `[batch, head, key, dim]`, one for each head.
            mask: Broadcasts to the result, `True` where a row may look.
        """
        return self.softmax(self.scores(query, key, mask))

    def softmax(self, scores: Tensor) -> Tensor:
        """Weights of scores over all keys, `[batch, head, row, key]` both."""
        if self.sinks is None:
            return scores.softmax(dim=-1)
        shared = self.sinks.float().reshape(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return torch.cat([scores, shared], dim=-1).softmax(dim=-1)[..., :-1]

    def scores(self, query: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """What the softmax is applied to, fp32, without sinks; arguments as in `weights`."""
        scores = (query @ key.transpose(2, 3)).float() * self.scaling
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        return scores.masked_fill(~mask, -math.inf)


class OnlineSoftmax:
    """Attention over keys that come in parts (Milakov and Gimelshein, arXiv 1805.02867, alg. 3)."""

    def __init__(self, query: Tensor, n_dims: int, rule: ScoreRule) -> None:
        """Nothing is seen yet except learned sinks; `query` is `[batch, head, token, dim]`."""
        shape = query.shape[:3]
        if rule.sinks is None:
            self._best = query.new_full((*shape, 1), -math.inf, dtype=torch.float32)
            self._total = torch.zeros_like(self._best)
        else:
            self._best = rule.sinks.float().reshape(1, -1, 1, 1).expand(*shape, 1)
            self._total = torch.ones_like(self._best)
        self._shape = (*shape, n_dims)
        self._out = query.new_zeros(self._shape, dtype=torch.float32)

    def add(self, scores: Tensor, values: Tensor) -> None:
        """See more keys.

        Args:
            scores: `[batch, kv_head, row, key]`, where the rows of a KV head are the tokens of the
                first head that shares it, then those of the next.
            values: `[batch, kv_head, key, dim]`.
        """
        shape = (*scores.shape[:3], -1)
        self._best, self._total, self._out = (
            x.reshape(shape) for x in (self._best, self._total, self._out)
        )
        higher = torch.maximum(self._best, scores.amax(dim=-1, keepdim=True))
        safe = higher.masked_fill(higher == -math.inf, 0.0)  # rows that have seen nothing yet
        shrink = torch.exp(self._best - safe)
        weights = torch.exp(scores - safe)
        self._total = self._total * shrink + weights.sum(dim=-1, keepdim=True)
        self._out = self._out * shrink + (weights.to(values.dtype) @ values).float()
        self._best = higher

    def result(self) -> Tensor:
        """Attention over all keys that were seen, fp32, `[batch, head, token, dim]`."""
        return (self._out / self._total).reshape(self._shape)
