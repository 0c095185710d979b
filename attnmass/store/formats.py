"""How entries are kept in memory and in files: in the model's dtype, half precision, or int8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from attnmass.capture import KeyValues

_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
_LARGEST_CODE = 127
_SMALLEST_SCALE = 1e-30  # a row of zeros has to be divided by something


@dataclass(frozen=True)
class Quantized(KeyValues):
    """Keys and values as 8-bit integers, which scales turn back into numbers.

    Keys have outliers in few channels and values have none, so keys get one scale for each channel
    of a head, and values one for each token (as in KIVI, arXiv 2402.02750, section 3).

    Attributes:
        key_scales: One `[kv_head, 1, dim]` for each of the keys.
        value_scales: One `[kv_head, token, 1]` for each of the values.
    """

    key_scales: tuple[Tensor, ...]
    value_scales: tuple[Tensor, ...]

    @property
    def is_plain(self) -> bool:
        """They are not the numbers themselves."""
        return False

    def to(self, device: torch.device) -> Quantized:
        """The same on another device; positions stay where the model is."""
        plain = super().to(device)
        return Quantized(
            plain.keys,
            plain.values,
            plain.positions,
            tuple(scale.to(device) for scale in self.key_scales),
            tuple(scale.to(device) for scale in self.value_scales),
        )

    def write(self, kind: str, layer: int, out: Tensor) -> None:
        """Decode into `out`."""
        scales = self.key_scales if kind == "keys" else self.value_scales
        super().write(kind, layer, out)
        out.mul_(scales[layer].to(out.device, out.dtype))


def pack(states: KeyValues, store_format: str | None) -> KeyValues:
    """What is kept of `states`: tensors that own their memory and nothing besides it.

    Args:
        states: What a window left behind, perhaps as slices of a batch.
        store_format: As in `CacheOptions`.
    """
    positions = compact(states.positions)
    if store_format == "int8":
        keys = [_quantize(key, axis=1) for key in states.keys]
        values = [_quantize(value, axis=2) for value in states.values]
        return Quantized(
            tuple(codes for codes, _ in keys),
            tuple(codes for codes, _ in values),
            positions,
            tuple(scales for _, scales in keys),
            tuple(scales for _, scales in values),
        )
    return KeyValues(
        tuple(compact(_converted(key, store_format)) for key in states.keys),
        tuple(compact(_converted(value, store_format)) for value in states.values),
        positions,
    )


def compact(tensor: Tensor) -> Tensor:
    """The tensor, or a copy if it is part of something larger that it would keep alive."""
    if tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def held_bytes(states: KeyValues) -> int:
    """Bytes of the storages that an entry's tensors keep alive, each counted once."""
    storages = (tensor.untyped_storage() for tensor in to_tensors(states).values())
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def to_tensors(states: KeyValues) -> dict[str, Tensor]:
    """An entry's tensors by name, as a file holds them."""
    return dict(_named(states))


def from_tensors(tensors: Mapping[str, Tensor]) -> KeyValues:
    """The entry that `to_tensors` took apart.

    Raises:
        KeyError: If a tensor is missing.
    """

    def run(kind: str) -> tuple[Tensor, ...]:
        count = sum(name.startswith(f"{kind}.") for name in tensors)
        return tuple(tensors[f"{kind}.{layer}"] for layer in range(count))

    plain = run("keys"), run("values"), tensors["positions"]
    scales = run("key_scales"), run("value_scales")
    return Quantized(*plain, *scales) if scales[0] else KeyValues(*plain)


def to_bytes(states: KeyValues) -> bytes:
    """An entry as it is kept on disk: in safetensors' format, which holds no code."""
    return save({name: tensor.cpu() for name, tensor in to_tensors(states).items()})


def from_bytes(data: bytes) -> KeyValues:
    """The entry that `to_bytes` wrote, in main memory.

    Raises:
        ValueError: If it is not one: names, dimensions or counts of tokens are not an entry's.
    """
    try:
        tensors = load(data)
        entry = from_tensors(tensors)
    except (SafetensorError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"not an entry: {error}") from error
    if to_tensors(entry).keys() != tensors.keys() or not entry.keys:
        raise ValueError(f"not an entry, which has no such tensors: {', '.join(sorted(tensors))}")
    if entry.positions.ndim != 1:
        raise ValueError(f"positions have {entry.positions.ndim} dimensions, not 1")
    for name, tensor in tensors.items():
        n_tokens = 1 if name.startswith("key_scales.") else len(entry)
        if name != "positions" and (tensor.ndim != 3 or tensor.shape[1] != n_tokens):
            raise ValueError(f"{name} is {list(tensor.shape)}, and there are {len(entry)} tokens")
    return entry


def frame(states: KeyValues) -> dict[str, tuple[object, ...]]:
    """What a model's entries have in common, however long: names, dtypes, heads and dimensions."""
    return {
        name: (tensor.dtype, *(size for axis, size in enumerate(tensor.shape) if axis in (0, 2)))
        if tensor.ndim == 3
        else (tensor.dtype,)
        for name, tensor in to_tensors(states).items()
    }


def _named(states: KeyValues) -> Iterator[tuple[str, Tensor]]:
    kinds = {"keys": states.keys, "values": states.values}
    if isinstance(states, Quantized):
        kinds |= {"key_scales": states.key_scales, "value_scales": states.value_scales}
    for kind, tensors in kinds.items():
        for layer, tensor in enumerate(tensors):
            yield f"{kind}.{layer}", tensor
    yield "positions", states.positions


def _converted(tensor: Tensor, store_format: str | None) -> Tensor:
    if store_format is None:
        return tensor
    dtype = _HALF[store_format]
    if dtype is torch.float16:  # outliers may exceed its largest number
        largest = torch.finfo(dtype).max
        tensor = tensor.clamp(-largest, largest)
    return tensor.to(dtype)


def _quantize(tensor: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Codes and scales of `[kv_head, token, dim]`, one scale for all numbers along `axis`."""
    numbers = tensor.float()
    scales = numbers.abs().amax(dim=axis, keepdim=True).clamp_min(_SMALLEST_SCALE) / _LARGEST_CODE
    scales = scales.to(torch.bfloat16)  # before they are divided by, so that rounding is undone
    codes = (numbers / scales.float()).round().clamp(-_LARGEST_CODE, _LARGEST_CODE)
    return compact(codes.to(torch.int8)), compact(scales)
