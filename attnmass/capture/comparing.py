"""What the proofs at load share: how attention is compared with what it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from attnmass.errors import AttnMassError, CaptureError, UnsupportedModelError
from attnmass.models.out_of_memory import is_out_of_memory

EAGER = "its eager attention over the same tokens"
OTHER_ORDER = "the same chunks in another order"

_HALF = (torch.float16, torch.bfloat16)
COARSE = 0.5  # where rounding alone moves attention this far, it is still the same attention

_ADVICE = "pass a model from the documentation's table of families"


class Proved(Protocol):
    """What a reader of any kind says about itself."""

    config: Any
    heads: tuple[tuple[int, int], ...]
    last_layer: int

    @property
    def dtype(self) -> torch.dtype:
        """That of the weights."""


def compare(
    reader: Proved,
    found: Tensor,
    expected: Tensor,
    what: str,
    *,
    kind: str = "attention",
    tolerance: float | None = None,
) -> None:
    """Compare attention `[head, key]` with what it has to be.

    Args:
        reader: What read it.
        found: What was read.
        expected: What it has to be.
        what: What that is, such as `EAGER`.
        kind: What is read.
        tolerance: How much of a row may lie elsewhere; default: what suits the dtype.

    Raises:
        UnsupportedModelError: If a head differs; says which and by how much.
        CaptureError: If there are NaN or infinite values.
    """
    if tolerance is None:
        # Rounding alone moved a 30-layer model by 0.016 in bfloat16 and grows with depth.
        tolerance = 6e-2 if is_half(reader) else 2e-3
    name = _family(reader)
    if not torch.isfinite(found).all():
        raise CaptureError(f"attention of {name} has NaN or infinite values in {reader.dtype}")
    # Total variation: the share of a row that lies elsewhere, whether on one key or on many.
    gap = (found - expected).abs().sum(dim=1) / 2  # [head]
    worst = int(gap.argmax())
    if gap[worst] > tolerance:
        layer, head = reader.heads[worst]
        raise UnsupportedModelError(
            f"{name}: {kind} of layer {layer}, head {head} differs from {what} by "
            f"{float(gap[worst]):.2g} (allowed: {tolerance}), so its scores could not be trusted. "
            "Pass a model from the documentation's table of families, or report the family."
        )


def is_half(reader: Proved) -> bool:
    """Whether a reader's weights are in half precision."""
    return reader.dtype in _HALF


def check_depth(
    reader: Proved, name: str, layers: Sequence[Any], *, kind: str = "attention"
) -> None:
    """Raise `UnsupportedModelError` unless a class returned one item for each layer that ran."""
    if len(layers) != reader.last_layer + 1:
        raise UnsupportedModelError(
            f"{name} returned {kind} of {len(layers)} layers where {reader.last_layer + 1} ran, so "
            f"heads cannot be told apart: {_ADVICE}."
        )


@contextmanager
def first_run(reader: Proved) -> Iterator[None]:
    """Say that a family is not supported where running it fails; memory and our own errors pass."""
    try:
        yield
    except AttnMassError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(
            f"{_family(reader)} does not run the way that its attention is read "
            f"({type(error).__name__}: {error}): {_ADVICE}."
        ) from error


def _family(reader: Proved) -> str:
    return type(reader.config).__name__.removesuffix("Config")
