"""From what chunks have for a query to the attention mass that each gets among all of them."""

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
        arXiv 1805.02867). It is in fp64, so that the order of the parts changes masses by 1e-12 at
        most.

        Args:
            parts: From `look`, `[chunk, head, row]`, such as those of a shard, a background or the
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
    # Where there is nothing to share, each gets nothing.
    shares = torch.exp(found.double() - among.total).nan_to_num(nan=0.0)
    return shares.mean(dim=-1)


def mass_beside(found: Tensor, company: Denominator) -> Tensor:
    """Attention mass of each of some things alone beside a fixed company, by head.

    What each gets depends only on itself, the query and the company.

    Args:
        found: From `look`, `[thing, head, row]`.
        company: The background, which does not include them.

    Returns:
        `[thing, head]`, fp64, between 0 and 1, the mean over the query's rows.
    """
    # Not by `torch.sigmoid`: in a batch, its last bit depends on the place within the batch.
    return (1 / (1 + torch.exp(company.total - found.double()))).mean(dim=-1)
