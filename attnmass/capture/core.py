"""What every attention reader has: a view of a model, and the heads that are read in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from attnmass.errors import CaptureError, UnsupportedModelError
from attnmass.models.ambient import undisturbed
from attnmass.models.kinds import embeddings_of
from attnmass.models.state import ModelState

Head = tuple[int, int]


class ViewReader:
    """Reads selected heads in a view of a model.

    Nothing in the model that is passed in is modified: the view shares its weights. One thread at a
    time may use a reader, and must first ask it to `follow` the model.

    Attributes:
        config: The model's own.
        heads: The selected heads in the order of the results, `(layer, head)`.
        last_layer: The deepest layer that has one of them.
        path: `"interface"` where attention goes through transformers' attention interface,
            `"eager"` where what a family's own eager attention returns is read.
    """

    def __init__(self, state: ModelState, config: Any, heads: Sequence[Head], path: str) -> None:
        """Bind the reader to a view, which stays on its device."""
        self.config = config
        self.heads = tuple(heads)
        self.last_layer = deepest(self.heads)
        self.path = path
        self._by_layer = by_layer(self.heads)
        self._state = state
        self._proof: Callable[[Any], None] | None = None
        self._home = self.device
        self._n_tokens = embeddings_of(self._view)

    def proved(self, proof: Callable[[Self], None]) -> Self:
        """Run a proof now, and again whenever a change in the model requires a new view.

        Args:
            proof: Raises an error where what is read is not the model's own.

        Returns:
            The reader.
        """
        proof(self)
        self._proof = proof
        return self

    def follow(self) -> None:
        """Follow changes in the model since the last call; to be called before every use.

        Raises:
            UnsupportedModelError: If it changed in a way that cannot be followed.
        """
        self._state.follow(self._renew)

    def identity(self) -> str:
        """Follow the model, and give the digest of the layers that run, as they are now."""
        self.follow()
        return self._state.identity()

    def _renew(self) -> None:
        n_tokens = embeddings_of(self._view)
        if n_tokens < self._n_tokens:  # the tokenizer was checked against the previous ones
            raise UnsupportedModelError(
                f"the model knows {n_tokens} tokens now, and knew {self._n_tokens} when the ranker "
                "was built: build a new ranker, with a tokenizer that has no others"
            )
        self._bind()
        if self._proof is not None:
            self._proof(self)

    def _bind(self) -> None:
        """Learn from a new view what depends on it."""

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Around every pass: the model is where it was, and nothing from outside affects it."""
        if self.device != self._home:
            raise UnsupportedModelError(
                f"the model was moved from {self._home} to {self.device} after the ranker was "
                "built: build a new ranker"
            )
        # Not in inference mode: what a layer creates for itself when it first runs is the caller's.
        with undisturbed(), torch.no_grad():
            yield

    @property
    def _view(self) -> Any:
        return self._state.view

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        device: torch.device = next(self._view.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """That of the weights."""
        dtype: torch.dtype = next(self._view.parameters()).dtype
        return dtype

    def _check_recorded(self, recorded: Iterable[int], model: object, what: str) -> None:
        """Raise `UnsupportedModelError` if a layer with selected heads recorded nothing.

        Args:
            recorded: The layers that recorded something.
            model: The model that the layers belong to.
            what: What such a layer lacks, and what to do about it.
        """
        missing = set(self._by_layer) - set(recorded)
        if missing:
            raise UnsupportedModelError(f"layer {min(missing)} of {type(model).__name__} {what}")


def check_finite(found: Tensor, what: str, dtype: torch.dtype) -> None:
    """Raise `CaptureError` for NaN and infinite values; `what` says in what, with its verb."""
    if not torch.isfinite(found).all():
        raise CaptureError(
            f"{what} NaN or infinite values in {dtype}: "
            "load the model in float32 or bfloat16 (dtype='float32')."
        )


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
    """What was recorded by layer, with the layer's heads along `dim`, in the order of `heads`."""
    known = by_layer(heads)
    each = [recorded[layer].select(dim, known[layer].index(head)) for layer, head in heads]
    return torch.stack(each, dim=dim)
