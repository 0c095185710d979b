"""What goes between a ranker and a shard in another process: arrays and digests, never a text.

Chunks are sent as digests, and as token ids only where a shard does not have them. A query is sent
as its vectors, which can be looked at without a model.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt
import torch

from attnmass.layouts import LayoutOptions
from attnmass.masses import Queries
from attnmass.text.tokens import KnownTokens, Tokens

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a query that look; see `attnmass.masses.Queries`.

    Attributes:
        vectors: fp32, `[row, head, dim]`.
        key_of: For each head, the index of its key head.
        caps: For each head, where its scores are soft-capped.
    """

    vectors: Floats
    key_of: tuple[int, ...]
    caps: tuple[float | None, ...]

    @classmethod
    def of(cls, queries: Queries) -> Rows:
        """Those of a query, wherever it is."""
        return cls(queries.vectors.float().cpu().numpy(), queries.key_of, queries.caps)

    def queries(self, device: torch.device) -> Queries:
        """The rows as `attnmass.masses.look` takes them, in their own memory."""
        return Queries(torch.tensor(self.vectors, device=device), self.key_of, self.caps)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Chunks that a shard is asked for.

    Attributes:
        scope: That of the ranker that asks, see `KeepingShard.scope`.
        digests: The digest of each chunk, 32 bytes each, one after the other.
        sizes: How many tokens each chunk has.
        options: Bounds on a forward pass and a window.
        ids: The token ids of each chunk, one after the other; `None` where they are left out.
    """

    scope: str
    digests: bytes
    sizes: tuple[int, ...]
    options: LayoutOptions
    ids: bytes | None = None

    def chunks(self) -> list[Tokens]:
        """The chunks, to be read where their ids came along, else only to be looked up."""
        if self.ids is not None:
            ids = array("q", self.ids).tolist()
            ends = np.cumsum(self.sizes).tolist()
            starts = [0, *ends[:-1]]
            return [
                Tokens(tuple(ids[start:end]), ()) for start, end in zip(starts, ends, strict=True)
            ]
        return [
            KnownTokens(self.digests[32 * i : 32 * i + 32], size, _not_here)
            for i, size in enumerate(self.sizes)
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a shard has for a query.

    Attributes:
        places: Which of the chunks that it was asked for it has.
        found: What they have, `[chunk, head, row]`, fp32; see `attnmass.masses.look`.
    """

    places: tuple[int, ...]
    found: Floats


def _not_here() -> NoReturn:
    raise LookupError("only the digest of this chunk is here, and none of its tokens")
