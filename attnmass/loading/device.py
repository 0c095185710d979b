"""Which device and number format a model runs in when the user does not say."""

from __future__ import annotations

from typing import Any

import torch

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def choose_device(device: str | torch.device | None) -> torch.device:
    """`device`, or the best there is: CUDA, MPS, XPU, CPU.

    Raises:
        ValueError: If the name is not a device, or not one of this machine.
    """
    if device is not None:
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"{device!r} is not a device: pass 'cpu', 'cuda', ...") from error
        try:
            torch.empty(0, device=chosen)
        except (AssertionError, ImportError, NotImplementedError, RuntimeError) as error:
            raise ValueError(f"{device!r} cannot be used here: {error}. Pass 'cpu'.") from error
        return chosen
    for name in ("cuda", "mps", "xpu"):
        backend: Any = getattr(torch, name, None)
        if backend is not None and backend.is_available():
            return torch.device(name)
    return torch.device("cpu")


def choose_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """`dtype`, or for `"auto"` the fastest that the device handles well.

    That is bfloat16 on accelerators and on CPUs that multiply it faster, else float32.

    Raises:
        ValueError: If the name is not a dtype.
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype != "auto":
        if dtype not in DTYPES:
            raise ValueError(
                f"dtype {dtype!r} is not one of 'auto', {', '.join(map(repr, DTYPES))}"
            )
        return DTYPES[dtype]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "xpu" or (device.type == "cpu" and _cpu_multiplies_bfloat16()):
        return torch.bfloat16
    return torch.float32


def _cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster than float32.

    Measured (`benchmarks/cpu.py`): with tiles (AMX) it takes a third of the time, with AVX-512's
    dot products alone Intel's take nearly twice as long. ARM's and AMD's instructions for it have
    not been measured here, and are taken.
    """
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # torch >= 2.12
    if get_capabilities is None:
        return getattr(torch.cpu, "_is_amx_tile_supported", bool)()
    found = get_capabilities()
    fast = ["amx_bf16", "sve_bf16", "bf16"]
    if "amd" in str(found.get("cpu_name", "")).lower():
        fast.append("avx512_bf16")
    return any(found.get(name) for name in fast)
