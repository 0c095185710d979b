"""What distinguishes the bytes of one tensor from those of another."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

PART = 2 << 20  # bytes that are summed at a time, so that they are read from memory once

_WORD = 8  # bytes
_ROW = 1024  # words
_ROWS = PART // (_ROW * _WORD)

Sum = npt.NDArray[np.int64]


def lies_ready(tensor: Tensor) -> bool:
    """Whether a tensor can be summed where it is, without a copy."""
    return tensor.is_contiguous() and _is_aligned(tensor)


def _is_aligned(tensor: Tensor) -> bool:
    """Whether it begins where a word does."""
    return tensor.storage_offset() * tensor.element_size() % _WORD == 0


class Table(NamedTuple):
    """A tensor's bytes as rows of 64-bit words.

    Attributes:
        words: `[row, word]`; a numpy array where possible, whose sums do not wait for torch's
            threads.
        rest: What does not fill a row, in bytes.
    """

    words: Any
    rest: Any

    @classmethod
    def of(cls, tensor: Tensor) -> Table:
        """View a tensor in this way.

        Raises:
            RuntimeError: If it is on the meta device, or packed.
            TypeError: Likewise.
        """
        flat = tensor.detach().contiguous().reshape(-1)
        if not _is_aligned(flat):
            flat = flat.clone()
        data: Any = flat.view(torch.uint8)
        word: Any = torch.int64
        if data.device.type == "cpu":
            data, word = data.numpy(), np.int64
        n_bytes = len(data) // (_ROW * _WORD) * _ROW * _WORD
        return cls(data[:n_bytes].view(word).reshape(-1, _ROW), data[n_bytes:])

    def sums(self, first: int, dim: int) -> Sum:
        """The sums of a part's rows along one dimension; they wrap around."""
        found = self.words[first : first + _ROWS].sum(axis=dim)
        return np.asarray(found.cpu() if isinstance(found, Tensor) else found)

    def end(self) -> bytes:
        """What does not fill a row."""
        rest = self.rest.cpu() if isinstance(self.rest, Tensor) else self.rest
        return bytes(np.asarray(rest))


class Sums(NamedTuple):
    """Sums of a tensor's bytes as 64-bit words, by row and by column of a table of them.

    Numbers that changed places do not go unnoticed. That is exact, the same on every device, and
    takes about as long as reading the tensor once.

    Attributes:
        columns: `[word]`.
        rows: `[row]`.
        end: What fills no row.
    """

    columns: Sum
    rows: Sum
    end: bytes

    @classmethod
    @torch.no_grad()
    def of(cls, tensor: Tensor) -> Sums:
        """Sum a tensor; raises as `Table.of`."""
        table = Table.of(tensor)
        columns, rows = np.zeros(_ROW, dtype=np.int64), [np.zeros(0, dtype=np.int64)]
        for first in range(0, len(table.words), _ROWS):
            columns += table.sums(first, 0)
            rows.append(table.sums(first, 1))
        return cls(columns, np.concatenate(rows), table.end())

    def starts(self) -> range:
        """The first row of each part that is summed at once; one part if there are no rows."""
        return range(0, max(1, len(self.rows)), _ROWS)

    @torch.no_grad()
    def holds(self, tensor: Tensor, first: int) -> bool:
        """Whether a part of a tensor is what was summed, by its rows; raises as `Table.of`."""
        table = Table.of(tensor)
        if first + _ROWS >= len(self.rows) and table.end() != self.end:
            return False
        if not len(self.rows):
            return True
        return bool((table.sums(first, 1) == self.rows[first : first + _ROWS]).all())

    def digest(self) -> str:
        """A digest of all of them."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.columns.tobytes(), self.rows.tobytes(), self.end):
            digest.update(part)
        return digest.hexdigest()


def checksum(tensor: Tensor | npt.NDArray[Any]) -> str:
    """A digest of a tensor's bytes; for what cannot be read, a word that nothing else has."""
    if isinstance(tensor, np.ndarray):
        if tensor.dtype.hasobject:
            return secrets.token_hex()
        digest = hashlib.blake2b(tensor.tobytes(), digest_size=16)
        return f"{tensor.dtype} {tensor.shape} {digest.hexdigest()}"
    sums = sums_of(tensor)
    return secrets.token_hex() if sums is None else sums.digest()


def sums_of(tensor: Tensor) -> Sums | None:
    """The sums of a tensor; `None` for what cannot be read: on the meta device, or packed."""
    try:
        return Sums.of(tensor)
    except (RuntimeError, TypeError):
        return None
