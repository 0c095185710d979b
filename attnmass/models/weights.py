"""Whether weights are what they were, and a digest of every one of them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from itertools import cycle, islice

import torch
from torch import Tensor

from attnmass.models.checksums import PART, Sums, lies_ready, sums_of

_PROBED = 8  # numbers of each tensor
_EACH_TIME = 4 << 20  # bytes that are summed for each query, in about a millisecond
_LEAST = 1 << 17  # what a part counts for at least: small ones take time, too


class Weights:
    """Tensors by name, and what they held when they were last read.

    Changes are noticed through the tensors' addresses and torch's version counters. What is written
    past these, through `parameter.data`, shows in a few numbers of each tensor, or, where it leaves
    these as they are, once its turn comes: with each question, 4 MB of the tensors are summed anew.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the tensors as they are.

        Args:
            tensors: By name; one that has several names counts once.
        """
        unique = {id(tensor): name for name, tensor in reversed(list(tensors.items()))}
        self._tensors = {name: tensors[name] for name in sorted(unique.values())}
        self._turns: Iterator[tuple[str, int]] = iter(())
        self._remember()

    def is_same(self) -> bool:
        """Whether nothing has been written since this was made, or its digests were taken."""
        if self._addresses != _addresses(self._tensors.values()):
            return False
        try:
            return all(map(torch.equal, self._probe(), self._probes)) and self._patrol()
        except RuntimeError:  # there is less memory at the same address
            return False

    def digests(self) -> Iterator[str]:
        """Name, dtype, shape and digest of each tensor, in the order of their names."""
        self._remember()
        for name, tensor in self._tensors.items():
            sums = sums_of(tensor)
            if sums is not None and lies_ready(tensor):
                self._sums[name] = sums
            told = secrets.token_hex() if sums is None else sums.digest()
            yield f"{name} {tensor.dtype} {tuple(tensor.shape)} {told}"
        parts = [(name, first) for name, sums in self._sums.items() for first in sums.starts()]
        self._turns, self._n_parts = cycle(parts), len(parts)

    def _remember(self) -> None:
        self._sums: dict[str, Sums] = {}
        self._n_parts = 0
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
                continue  # wrappers of packed weights, which have no numbers to read
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

    def _patrol(self) -> bool:
        """Whether the parts whose turn it is hold what was summed of them."""
        left = _EACH_TIME
        for name, first in islice(self._turns, self._n_parts):
            tensor = self._tensors[name]
            if not self._sums[name].holds(tensor, first):
                return False
            left -= max(_LEAST, min(PART, tensor.nbytes))
            if left <= 0:
                break
        return True


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
    except RuntimeError:  # from inference mode, or packed
        return [address(tensor) for tensor in tensors]
