"""From what chunks have for a query to the attention mass that each gets of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Denominator:
    """What the softmax divides by: everything that shares the query's attention.

    Attributes:
        total: Log-sum-exp over all that takes part, fp64, `[head, row]`.
    """

    total: Tensor

    @classmethod
    def of(cls, parts: Iterable[Tensor]) -> Denominator:
        """Put any number of parts together, in any order.

        A merge is exact: the log-sum-exp of all is that of the parts' (Milakov and Gimelshein,
        arXiv 1805.02867). In fp64, so that the order of the parts moves masses by 1e-12 at most.

        Args:
            parts: From `look`, `[chunk, head, row]`; those of a shard, of a background, of the
                prompt. Empty ones add nothing.

        Raises:
            ValueError: If there is nothing at all.
        """
        found = [part.double() for part in parts if part.shape[0]]
        if not found:
            raise ValueError("there is nothing to share attention among: pass at least one chunk")
        return cls(torch.logsumexp(torch.cat(found), dim=0))

    def merge(self, other: Denominator) -> Denominator:
        """That of both together."""
        return Denominator(torch.logaddexp(self.total, other.total))


def chunk_mass(found: Tensor, among: Denominator) -> Tensor:
    """Attention mass of each chunk by head, the mean over the query's rows.

    Args:
        found: From `look`, `[chunk, head, row]`.
        among: What they share attention with, themselves included.

    Returns:
        `[chunk, head]`, fp64, between 0 and 1.
    """
    return torch.exp(found.double() - among.total).mean(dim=-1)
