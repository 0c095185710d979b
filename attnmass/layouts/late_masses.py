"""The masses of the late layout's chunks, token by token, worked out when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

from attnmass.masses import Denominator, KeyVectors, Queries, token_scores


class TokenMasses(Sequence[Tensor]):
    """What each token of each chunk gets, `[head, token]`, worked out when it is asked for.

    A ranking needs it of the chunks that are trimmed or drawn, not of thousands.
    """

    def __init__(self, looking: Queries, keys: Sequence[KeyVectors], among: Denominator) -> None:
        """Nothing is computed yet.

        Args:
            looking: The rows.
            keys: What is kept of each chunk.
            among: What all of them share.
        """
        self._looking = looking
        self._keys = tuple(keys)
        self._among = among

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Tensor, ...]: ...

    def __getitem__(self, index: int | slice) -> Tensor | tuple[Tensor, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._of(self._keys[index])

    def _of(self, keys: KeyVectors) -> Tensor:
        return self._by_row(keys).mean(dim=0).float()

    def _by_row(self, keys: KeyVectors) -> Tensor:
        scores = token_scores(self._looking, keys).double()  # [row, head, token]
        return torch.exp(scores - self._among.total.T[:, :, None])


class RowMasses(TokenMasses):
    """The same of each row by itself, `[row, head, token]`."""

    def _of(self, keys: KeyVectors) -> Tensor:
        return self._by_row(keys).float()
