"""Key vectors as they are kept: 8-bit integers, with a scale for each token and key head."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_LARGEST_CODE = 127
_SMALLEST_SCALE = 2.0**-24  # the smallest above zero in half precision
_LARGEST_SCALE = 65504.0  # the largest
_HEADER = struct.Struct("<4sIII")  # magic, tokens, key heads, dimensions
_MAGIC = b"AMK1"


@dataclass(frozen=True, slots=True, eq=False)
class KeyVectors:
    """What is kept of a chunk: the key vectors of the selected heads.

    A vector is its codes times its scale. What is looked at is always this, never what the model
    gave, so that a chunk that was just read and one that was kept give the same result.

    Attributes:
        codes: int8, `[token, key_head, dim]`.
        scales: fp16, `[token, key_head]`.
    """

    codes: Tensor
    scales: Tensor

    def __len__(self) -> int:
        return self.codes.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.codes.nbytes + self.scales.nbytes

    def to(self, device: torch.device) -> KeyVectors:
        """The same on another device."""
        return KeyVectors(self.codes.to(device), self.scales.to(device))

    def to_bytes(self) -> bytes:
        """The vectors as a store keeps them; `from_bytes` reads them back."""
        codes, scales = self.codes.cpu().contiguous(), self.scales.cpu().contiguous()
        return b"".join(
            (
                _HEADER.pack(_MAGIC, *codes.shape),
                scales.view(torch.uint8).numpy().tobytes(),
                codes.numpy().tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes, n_tokens: int, n_heads: int, n_dims: int) -> KeyVectors | None:
        """Read what `to_bytes` wrote, of the shape that is expected; else `None`.

        Args:
            data: From a store, which may hold anything.
            n_tokens: Tokens of the chunk.
            n_heads: Key heads.
            n_dims: Numbers of a vector.
        """
        shape = (n_tokens, n_heads, n_dims)
        n_scales = 2 * n_tokens * n_heads
        n_codes = n_tokens * n_heads * n_dims
        if len(data) != _HEADER.size + n_scales + n_codes:
            return None
        if _HEADER.unpack_from(data) != (_MAGIC, *shape):
            return None
        whole = torch.frombuffer(bytearray(memoryview(data)[_HEADER.size :]), dtype=torch.uint8)
        scales = whole[:n_scales].view(torch.float16).reshape(n_tokens, n_heads)
        if not bool(torch.isfinite(scales).all()):
            return None
        return cls(whole[n_scales:].view(torch.int8).reshape(shape), scales)


def quantize(vectors: Tensor) -> KeyVectors:
    """Round vectors to 8 bits.

    Args:
        vectors: `[token, key_head, dim]`, finite.
    """
    largest = vectors.float().abs().amax(dim=-1)  # [token, key_head]
    scales = (largest / _LARGEST_CODE).clamp(_SMALLEST_SCALE, _LARGEST_SCALE).half()
    # A scale that is rounded down would leave the largest number without a code.
    codes = (vectors.float() / scales.float()[..., None]).round()
    return KeyVectors(codes.clamp(-_LARGEST_CODE, _LARGEST_CODE).to(torch.int8), scales)


def joined(parts: Sequence[KeyVectors]) -> KeyVectors:
    """The tokens of several runs one after the other."""
    if len(parts) == 1:
        return parts[0]
    return KeyVectors(
        torch.cat([part.codes for part in parts]), torch.cat([part.scales for part in parts])
    )
