"""Query and key vectors of selected heads, from one forward pass, at one distance for RoPE.

Rotary embeddings rotate a vector by its position, and a product of two depends on their distance
alone (Su et al., arXiv 2104.09864, equation 16). So a key that is rotated as at position 0, and a
query as at position `distance`, meet as if every token stood equally far from the query, wherever
it is in its chunk and whichever window it was read in. What the layers below compute is unaffected:
tokens are read at their own positions.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnmass.capture.core import Head, check_finite
from attnmass.capture.forward import ACTIVE, ForwardPass, StopForward
from attnmass.capture.reader import Reader, side_by_side
from attnmass.capture.rotation import EMBEDDINGS, at_position, rotary_attention
from attnmass.capture.rule import ScoreRule
from attnmass.capture.states import KeyValues
from attnmass.capture.tap import OWN, Captured, Tap
from attnmass.errors import UnsupportedModelError
from attnmass.models.view import find_layers

DISTANCE = 64  # tokens between a key and the query, where the model takes that many


_NO_ATTENTION = "has no softmax attention to read: choose heads of other layers."


class Vectors(NamedTuple):
    """What one pass over a text gives for all its tokens, in the form of `VectorReader`.

    Attributes:
        keys: Key vectors at their own positions, `[token, key_head, dim]`.
        queries: Query vectors at their own positions, `[token, head, dim]`.
        near: Key vectors as `VectorReader.keys` gives them.
        far: Query vectors as `VectorReader.queries` gives them.
    """

    keys: Tensor
    queries: Tensor
    near: Tensor
    far: Tensor


class VectorReader(Reader):
    """A reader that extracts what selected heads compare: query vectors and key vectors.

    Attributes:
        key_heads: `(layer, kv_head)` of the key vectors, in their order in the results; heads of a
            grouped-query model share them.
        key_of: For each of `heads`, the index of its key head.
        n_dims: Dimensions of a vector; shorter ones are padded with zeros.
        caps: For each of `heads`, where its scores are soft-capped (Gemma 2), else `None`.
        distance: Positions between every key and every query; `None` where a family has no rotary
            embeddings and vectors are those of their tokens' own positions.
    """

    def __init__(self, model: nn.Module, heads: Iterable[Head]) -> None:
        """Build the view, and learn shapes from a pass over a few tokens.

        Raises:
            UnsupportedModelError: If the model has no key vectors to read.
        """
        super().__init__(model, heads)
        if self.path != "interface":
            raise UnsupportedModelError(
                f"{type(model).__name__} does not ask transformers' attention interface, so its "
                "key vectors cannot be read, which the layout 'late' keeps: use layout='parallel'."
            )

    def _bind(self) -> None:
        super()._bind()
        if self.path != "interface":
            return  # is refused
        self._rotations: dict[int, tuple[Any, Any]] = {}
        tap = self._listen()
        self._turns = bool(self._rotations)
        self.distance = self._far if self._turns else None
        groups = {layer: n // n_keys for layer, (n, n_keys) in tap.sizes.items()}
        keys = [(layer, head // groups[layer]) for layer, head in self.heads]
        self.key_heads: tuple[Head, ...] = tuple(sorted(set(keys)))
        self.key_of = tuple(self.key_heads.index(key) for key in keys)
        self._rules = tap.rules
        self.n_dims = tap.n_dims
        shape = (self.key_heads, self.n_dims, self.distance)
        if getattr(self, "_shape", shape) != shape:
            raise UnsupportedModelError(
                "the model's heads have changed since the ranker was built: build a new ranker"
            )
        self._shape = shape
        self.caps = tuple(tap.rules[layer].softcap for layer, _ in self.heads)

    @property
    def sinks(self) -> Tensor | None:
        """For each of `heads`, the learned score of its sink (GPT-OSS), `[head]`; else `None`."""
        rules = [(self._rules[layer], head) for layer, head in self.heads]
        if all(rule.sinks is None for rule, _ in rules):
            return None
        return torch.cat([_sink(rule, head) for rule, head in rules])

    def keys(
        self, rows: Sequence[Sequence[int]], start: int = 0, past: Sequence[KeyValues] = ()
    ) -> list[Tensor]:
        """Key vectors of sequences of tokens read side by side; arguments as in `Reader.read`.

        Returns:
            For each row, `[token, key_head, dim]`, fp32.

        Raises:
            CaptureError: If there are NaN or infinite values.
        """
        kind = "near" if self._turns else "keys"
        ids, positions = side_by_side(rows, start, self.device)
        found = self._keys(self._tapped((kind,), ids, positions, past)[kind])
        return [found[i, : len(row)] for i, row in enumerate(rows)]

    def queries(
        self,
        ids: Tensor,
        positions: Tensor,
        past: Sequence[KeyValues] = (),
        segments: Tensor | None = None,
    ) -> Tensor:
        """Query vectors, scaled so that their product with a key vector is a score.

        Args:
            ids: `[token]`.
            positions: `[token]`.
            past: What the tokens may look at besides themselves.
            segments: As in `Reader.look`.

        Returns:
            `[token, head, dim]`, fp32.

        Raises:
            CaptureError: If there are NaN or infinite values.
        """
        kind = "far" if self._turns else "queries"
        return self._queries(self._tapped((kind,), ids[None], positions, past, segments)[kind])

    def vectors(self, ids: Tensor, positions: Tensor) -> Vectors:
        """All that a proof needs, from one pass.

        Args:
            ids: `[token]`.
            positions: `[token]`.

        Raises:
            CaptureError: If there are NaN or infinite values.
        """
        kinds = (*OWN, "near", "far") if self._turns else OWN
        found = self._tapped(kinds, ids[None], positions, ())
        near, far = found.get("near", found["keys"]), found.get("far", found["queries"])
        return Vectors(
            self._keys(found["keys"])[0],
            self._queries(found["queries"]),
            self._keys(near)[0],
            self._queries(far),
        )

    def _keys(self, found: Mapping[int, Tensor]) -> Tensor:
        """What was found by layer as `[batch, token, key_head, dim]`."""
        return self._stacked([found[layer][:, head] for layer, head in self.key_heads])

    def _queries(self, found: Mapping[int, Tensor]) -> Tensor:
        """What was found by layer, for a batch of one, as `[token, head, dim]`."""
        return self._stacked(
            [
                found[layer][0, head].float() * self._rules[layer].scaling
                for layer, head in self.heads
            ]
        )

    def _stacked(self, vectors: Sequence[Tensor]) -> Tensor:
        """Vectors `[..., dim]` of several heads as one tensor `[..., head, dim]`."""
        padded = [
            nn.functional.pad(vector.float().to(self.device), (0, self.n_dims - vector.shape[-1]))
            for vector in vectors
        ]
        stacked = torch.stack(padded, dim=-2)
        check_finite(stacked, f"vectors of {type(self._view).__name__} have", self.dtype)
        return stacked

    def _tapped(
        self,
        kinds: tuple[str, ...],
        ids: Tensor,
        positions: Tensor,
        past: Sequence[KeyValues],
        segments: Tensor | None = None,
    ) -> dict[str, dict[int, Tensor]]:
        tap = Tap(kinds)
        state = ForwardPass(
            positions, self.last_layer, past, segments, heads=self._by_layer, tap=tap
        )
        self._run(ids, state)
        for kind in kinds:
            self._check_recorded(tap.found.get(kind, ()), self._view, _NO_ATTENTION)
        return tap.found

    def _listen(self) -> Tap:
        """Hook the selected layers' attention, where it is rotary; learn shapes and rotations."""
        _, layers = find_layers(self._view)
        modules = {layer: rotary_attention(layers[layer]) for layer in self._by_layer}
        handles = [
            module.register_forward_pre_hook(self._note_rotation(layer), with_kwargs=True)
            for layer, module in modules.items()
            if module is not None
        ]
        limit = self.max_positions
        self._far = DISTANCE if limit is None else min(DISTANCE, limit // 2)
        positions = torch.arange(self._far + 1, device=self.device)
        ids = (positions * 7 + 5) % int(self.config.vocab_size)
        tap = Tap(())
        self._run(ids[None], ForwardPass(positions, self.last_layer, heads=self._by_layer, tap=tap))
        for handle in handles:
            handle.remove()
        self._check_recorded(tap.sizes, self._view, _NO_ATTENTION)
        if len(self._rotations) < len(self._by_layer):
            self._rotations.clear()  # all heads at one distance, or none
        for layer in self._rotations:
            module = modules[layer]
            if module is not None:
                module.register_forward_pre_hook(self._turn(layer), with_kwargs=True)
        return tap

    def _note_rotation(self, layer: int) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            said = inspect.signature(module.forward).bind(*args, **kwargs).arguments
            rotation = said.get(EMBEDDINGS)
            if rotation is not None:
                self._rotations[layer] = (
                    at_position(rotation, 0),
                    at_position(rotation, self._far),
                )

        return hook

    def _turn(self, layer: int) -> Any:
        """Before a selected layer attends: call it once more, as at another position."""
        rotations = self._rotations  # a hook that held its reader would keep both alive

        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            state = ACTIVE.get()
            tap = state.tap
            turned = dict(zip(("near", "far"), rotations[layer], strict=True))
            if tap is None or tap.turning or not turned.keys() & tap.wanted:
                return
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            for kind in [kind for kind in tap.wanted if kind in turned]:
                bound.arguments[EMBEDDINGS] = turned[kind]
                tap.turning = kind
                try:
                    module.forward(*bound.args, **bound.kwargs)
                except Captured:
                    pass
                finally:
                    tap.turning = ""
            if layer == state.last_layer and turned.keys() >= set(tap.wanted):
                raise StopForward

        return hook


def _sink(rule: ScoreRule, head: int) -> Tensor:
    if rule.sinks is None:
        return torch.full((1,), -torch.inf, dtype=torch.float32)
    return rule.sinks[head : head + 1].detach().float().cpu()
