"""What every reader of attention has: a view of a model, and the heads that are read in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attnmass.errors import UnsupportedModelError

Head = tuple[int, int]


class ViewReader:
    """Reads selected heads in a view of a model.

    Nothing of the model that is passed in is written to: the view shares its weights. One thread at
    a time may use a reader.

    Attributes:
        config: The model's own.
        heads: The selected heads in the order of the results, `(layer, head)`.
        last_layer: The deepest layer that has one of them.
        path: `"interface"` where attention goes through transformers' attention interface,
            `"eager"` where what a family's own eager attention returns is read.
    """

    def __init__(self, view: nn.Module, config: Any, heads: Sequence[Head], path: str) -> None:
        """Bind the reader to a view, which stays on its device."""
        self.config = config
        self.heads = tuple(heads)
        self.last_layer = deepest(self.heads)
        self.path = path
        self._by_layer = by_layer(self.heads)
        self._view: Any = view
        self._home = self.device

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        device: torch.device = next(self._view.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        dtype: torch.dtype = next(self._view.parameters()).dtype
        return dtype

    def _check_home(self) -> None:
        """Raise `UnsupportedModelError` if the model is on another device than it was."""
        if self.device != self._home:
            raise UnsupportedModelError(
                f"the model was moved from {self._home} to {self.device} after the ranker was "
                "built: build a new ranker"
            )

    def _check_recorded(self, recorded: Iterable[int], model: object, what: str) -> None:
        """Raise `UnsupportedModelError` if a layer with selected heads recorded nothing.

        Args:
            recorded: The layers that did.
            model: What the layers are of.
            what: What such a layer lacks, and what to do about it.
        """
        missing = set(self._by_layer) - set(recorded)
        if missing:
            raise UnsupportedModelError(f"layer {min(missing)} of {type(model).__name__} {what}")


def deepest(heads: Iterable[Head]) -> int:
    """The deepest layer that has one of the heads."""
    return max(layer for layer, _ in heads)


def by_layer(heads: Iterable[Head]) -> dict[int, list[int]]:
    """The heads of each layer, in their order."""
    found: dict[int, list[int]] = {}
    for layer, head in heads:
        found.setdefault(layer, []).append(head)
    return found


def in_order(recorded: Mapping[int, Tensor], heads: Sequence[Head], dim: int = 1) -> Tensor:
    """What was recorded by layer, the layer's heads along `dim`, in the order of `heads`."""
    known = by_layer(heads)
    each = [recorded[layer].select(dim, known[layer].index(head)) for layer, head in heads]
    return torch.stack(each, dim=dim)
