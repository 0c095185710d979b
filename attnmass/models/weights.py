"""Whether weights are what they were, and a digest of every one of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_WORD = 8  # bytes
_ROW = 1024  # words
_PROBED = 8  # numbers of each tensor


class Weights:
    """Tensors by name, and what they held when they were last read.

    Changes are noticed through the tensors' addresses, torch's version counters, and a few numbers
    of each tensor, which tell of most that is written around these (through `parameter.data`).
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors as they are.

        Args:
            tensors: By name; one that has several counts once.
        """
        unique = {id(tensor): name for name, tensor in reversed(list(tensors.items()))}
        self._tensors = {name: tensors[name] for name in sorted(unique.values())}
        self._remember()

    def is_same(self) -> bool:
        """Whether nothing was written since this was made, or its digests taken."""
        if self._addresses != _addresses(self._tensors.values()):
            return False
        try:
            return all(map(torch.equal, self._probe(), self._probes))
        except RuntimeError:  # there is less behind the same address
            return False

    def digests(self) -> Iterator[str]:
        """Name, dtype, shape and digest of each tensor, in the order of their names."""
        self._remember()
        for name, tensor in self._tensors.items():
            yield f"{name} {tensor.dtype} {tuple(tensor.shape)} {checksum(tensor)}"

    def _remember(self) -> None:
        self._addresses = _addresses(self._tensors.values())
        self._places = self._few()
        self._probes = self._probe()

    @property
    def missing(self) -> list[str]:
        """The names of tensors whose numbers are not in memory."""
        return [name for name, tensor in self._tensors.items() if tensor.device.type == "meta"]

    def _few(self) -> list[list[tuple[Tensor, int, int]]]:
        """Which numbers of each tensor are probed: how many, and how far apart.

        Tensors of one dtype and device stand together.
        """
        found: dict[tuple[torch.dtype, torch.device], list[tuple[Tensor, int, int]]] = {}
        for tensor in self._tensors.values():
            if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.device.type == "meta":
                continue  # wrappers of packed weights, which have no numbers to take
            n_numbers = tensor.numel()
            if n_numbers and tensor.is_contiguous():
                size = min(_PROBED, n_numbers)
                step = (n_numbers - 1) // max(1, size - 1) or 1
                found.setdefault((tensor.dtype, tensor.device), []).append((tensor, size, step))
        return list(found.values())

    @torch.inference_mode()
    def _probe(self) -> list[Tensor]:
        """A few numbers of each tensor, as bytes."""
        return [
            torch.cat([x.as_strided((size,), (step,)) for x, size, step in group]).view(torch.uint8)
            for group in self._places
        ]


def address(tensor: Tensor) -> tuple[int, int]:
    """What changes when a tensor is replaced or written to."""
    try:
        place = tensor.data_ptr()
    except RuntimeError:  # quantized wrappers have no storage of their own
        place = id(tensor)
    return place, 0 if tensor.is_inference() else tensor._version


def _addresses(tensors: Collection[Tensor]) -> list[tuple[int, int]]:
    """`address` of each tensor; asked for every query, so it is fast."""
    try:
        return [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    except RuntimeError:  # of inference mode, or packed
        return [address(tensor) for tensor in tensors]


@torch.no_grad()
def checksum(tensor: Tensor | npt.NDArray[Any]) -> str:
    """A digest of a tensor's bytes; for what cannot be read a word that nothing else has.

    The bytes are summed as 64-bit words, by row and by column of a table of them, so that numbers
    that changed places do not go unseen. That is exact, the same on every device, and takes about
    as long as reading the tensor twice.
    """
    if isinstance(tensor, np.ndarray):
        if tensor.dtype.hasobject:
            return secrets.token_hex()
        digest = hashlib.blake2b(tensor.tobytes(), digest_size=16)
        return f"{tensor.dtype} {tensor.shape} {digest.hexdigest()}"
    try:
        flat = tensor.detach().contiguous().reshape(-1)
        if flat.storage_offset() * flat.element_size() % _WORD:
            flat = flat.clone()  # words have to be aligned
        data = flat.view(torch.uint8)
        n_words = len(data) // _WORD
        words = data[: n_words * _WORD].view(torch.int64)
        n_whole = n_words // _ROW * _ROW
        table, rest = words[:n_whole].reshape(-1, _ROW), words[n_whole:]
        if table.device.type == "cpu":  # numpy's sums do not wait for torch's threads
            sums = [table.numpy().sum(axis=0), table.numpy().sum(axis=1)]
        else:
            sums = [table.sum(dim=0).cpu().numpy(), table.sum(dim=1).cpu().numpy()]
        digest = hashlib.blake2b(digest_size=16)
        for part in (*sums, rest.cpu().numpy(), data[n_words * _WORD :].cpu().numpy()):
            digest.update(part.tobytes())
        return digest.hexdigest()
    except (RuntimeError, TypeError):  # on the meta device, or of a packed kind
        return secrets.token_hex()
