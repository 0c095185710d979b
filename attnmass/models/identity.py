"""Which model it is: a digest that tells fine-tunes of one architecture apart."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from attnmass.models.sizes import FULL_DEPTH

# What a config says of where a model came from, not of what it computes.
_ORIGIN = {"architectures", "dtype", "quantization_config", "transformers_version", FULL_DEPTH}

_WORD = 8  # bytes


class Identity:
    """The digest of a module, taken anew when its weights were replaced or changed in place.

    Every weight counts: each tensor's bytes are summed as 64-bit words, which is exact and the same
    on every device, and takes about as long as reading the weights once. Changes are noticed
    through the tensors' addresses and torch's version counters; what writes around these (through
    `parameter.data`) is not seen.
    """

    def __init__(self, module: nn.Module) -> None:
        """Nothing is computed yet."""
        self._module = module
        self._seen: list[tuple[int, int]] | None = None
        self._digest = ""

    def __call__(self) -> str:
        """The digest of the weights as they are now."""
        state = [_state(tensor) for _, tensor in self._tensors()]
        if state != self._seen:
            self._digest = self._compute()
            self._seen = state
        return self._digest

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        return chain(self._module.named_parameters(), self._module.named_buffers())

    @torch.inference_mode()
    def _compute(self) -> str:
        config: Any = self._module.config
        said = config.to_dict()
        kept = {key: said[key] for key in sorted(said) if key[0] != "_" and key not in _ORIGIN}
        digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
        digest.update(transformers.__version__.encode())
        for name, tensor in self._tensors():
            about = f"{name} {tensor.dtype} {tuple(tensor.shape)} {_checksum(tensor)}\n"
            digest.update(about.encode())
        return digest.hexdigest()


def _state(tensor: Tensor) -> tuple[int, int]:
    """What changes when a tensor is replaced or written to."""
    try:
        place = tensor.data_ptr()
    except RuntimeError:  # quantized wrappers have no storage of their own
        place = id(tensor)
    return place, 0 if tensor.is_inference() else tensor._version


def _checksum(tensor: Tensor) -> str:
    """Sum of a tensor's bytes as words; for what cannot be read a word that nothing else has."""
    try:
        flat = tensor.detach().contiguous().reshape(-1)
        if flat.storage_offset() * flat.element_size() % _WORD:
            flat = flat.clone()  # words have to be aligned
        data = flat.view(torch.uint8)
        whole = len(data) // _WORD * _WORD
        words = int(data[:whole].view(torch.int64).sum()) if whole else 0
        return f"{words} {int(data[whole:].sum())}"
    except (RuntimeError, TypeError):  # on the meta device, or of a packed kind
        return secrets.token_hex()
