"""Runs a model's layers over tokens and reads the attention of selected heads."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attnmass.capture import interface
from attnmass.capture.core import Head, ViewReader, deepest, in_order
from attnmass.capture.forward import ACTIVE, ForwardPass, passing
from attnmass.capture.regimes import first_regime, reach
from attnmass.capture.states import KeyValues, by_row
from attnmass.errors import UnsupportedModelError
from attnmass.models.state import ModelState
from attnmass.models.view import (
    asks_interface,
    find_decoder,
    find_layers,
    is_whole,
    layers_above,
    shared_view,
)


class Reader(ViewReader):
    """A transformers decoder, cut after the last selected head; see also `ViewReader`.

    Attributes:
        kept_heads: The KV heads of the last layer whose keys `read` keeps: those that selected
            heads read, known after the first pass. `None` is all, as eager attention needs them.
    """

    def __init__(self, model: nn.Module, heads: Iterable[Head]) -> None:
        """Build the view.

        Args:
            model: A transformers decoder, with or without its language-model head.
            heads: `(layer, head)`, 0-based, as in a checked profile.

        Raises:
            UnsupportedModelError: If the model's attention cannot be read.
        """
        decoder = find_decoder(model)
        heads = tuple(heads)
        _check_positions(decoder)
        path = "interface" if asks_interface(decoder) else "eager"
        n_layers = deepest(heads) + 1
        implementation = interface.INTERFACE if path == "interface" else interface.EAGER
        state = ModelState(
            lambda: {"": find_decoder(model)},
            lambda: layers_above(find_decoder(model), n_layers),
            lambda: shared_view(
                find_decoder(model), n_layers=n_layers, implementation=implementation
            ),
        )
        super().__init__(state, decoder.config, heads, path)
        self.kept_heads: tuple[int, ...] | None = None
        self._bind()

    @property
    def max_positions(self) -> int | None:
        """How many positions the model knows in its first regime, or `None` for no limit.

        Some rotary embeddings rotate all vectors of a pass differently once its longest position is
        beyond what the model was first trained on (longrope, dynamic NTK): what a chunk leaves
        would depend on the longest chunk next to it. Longer chunks are read in windows instead.
        """
        known = (getattr(self.config, "max_position_embeddings", None), first_regime(self.config))
        return min((int(limit) for limit in known if limit), default=None)

    @property
    def reach(self) -> int | None:
        """Within how many positions tokens see each other in all layers run; `None`: no bound."""
        return reach(self.config, self.last_layer + 1)

    def read(
        self, rows: Sequence[Sequence[int]], start: int = 0, past: Sequence[KeyValues] = ()
    ) -> list[KeyValues]:
        """Run sequences of tokens side by side, and keep the keys and values that each leaves.

        Args:
            rows: Token ids, each at least one.
            start: Position of the first token of each.
            past: What comes before, shared by the rows.

        Returns:
            For each row, keys by layer, and values likewise except for the last layer, where
            nothing reads them. The last layer's keys are only those of the heads in `kept_heads`.
        """
        ids, positions = side_by_side(rows, start, self.device)
        state = ForwardPass(positions, self.last_layer, past, heads=self._by_layer, keep=True)
        self._run(ids, state)
        self.kept_heads = state.kept_heads
        return by_row(state.keys, state.values, positions, rows)

    def look(
        self,
        ids: Tensor,
        positions: Tensor,
        past: Sequence[KeyValues],
        rows: Sequence[Tensor],
        segments: Tensor | None = None,
        key_block: int | None = None,
        shifts: Sequence[int] = (),
    ) -> Tensor:
        """Run tokens and read where the selected heads look from some of them.

        Args:
            ids: `[token]`.
            positions: `[token]`.
            past: What the tokens may look at besides themselves.
            rows: For each group of tokens that is averaged, such as a query, the tokens' indices.
            segments: Segment number of each token; segments do not see each other.
            key_block: Past keys that are looked at together, fewer of them in less memory; default:
                all. A family that is read from its own eager attention looks at all.
            shifts: For each of `past`, by how many positions it counts as nearer as far as windows
                of attention are concerned; default: none.

        Returns:
            Attention averaged over each group of rows, fp32, `[group, head, key]`, keys being the
            past's and then the new tokens'.
        """
        heads = self._by_layer
        state = ForwardPass(
            positions, self.last_layer, past, segments, heads, rows,
            key_block=key_block, shifts=shifts,
        )  # fmt: skip
        self._run(ids[None], state)
        self._check_recorded(
            state.recorded,
            self._view,
            "has no softmax attention to read: choose heads of other layers.",
        )
        return in_order(state.recorded, self.heads)

    def _run(self, ids: Tensor, state: ForwardPass) -> None:
        with self._running(), passing(ACTIVE, state):
            eager = self.path == "eager"
            self._view(
                input_ids=ids,
                position_ids=state.positions[None].expand_as(ids),
                # Without a mask, positions that start over would be taken for packed sequences.
                attention_mask=None if eager else torch.ones_like(ids),
                use_cache=eager,
                **interface.cached(self._view, interface.PassCache() if eager else None),
            )

    def _bind(self) -> None:
        self.kept_heads = None
        if self.path == "eager":
            self._hook_layers()

    def _hook_layers(self) -> None:
        """Read a family's own attention weights from the modules that return them."""
        _, layers = find_layers(self._view)

        def listen(layer: int) -> Any:
            def hook(module: nn.Module, args: Any, output: Any) -> None:
                state = ACTIVE.get()
                if not state.rows or layer in state.recorded:
                    return
                weights = _attention_weights(output, len(state.positions))
                if weights is not None:
                    rows = torch.cat(list(state.rows)).to(weights.device)
                    chosen = weights[0, list(state.heads[layer])]  # [selected, token, key]
                    state.keep_rows(layer, chosen[:, rows].float(), weights.dtype)

            return hook

        for layer in self._by_layer:
            for module in layers[layer].modules():
                if module is not layers[layer] and not is_whole(module):
                    module.register_forward_hook(listen(layer))


def side_by_side(
    rows: Sequence[Sequence[int]], start: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids of a batch, `[row, token]`, and positions that its rows share, `[token]`, from `start`.

    Shorter rows are padded at their end, where no token before it sees the padding.
    """
    longest = max(map(len, rows))
    ids = [[*row, *[row[0]] * (longest - len(row))] for row in rows]
    return torch.tensor(ids, device=device), torch.arange(longest, device=device) + start


def _attention_weights(output: Any, n_tokens: int) -> Tensor | None:
    """The `[batch, head, token, key]` tensor in what an attention module returns, if any."""
    if not isinstance(output, tuple):
        return None
    for item in output[1:]:
        if isinstance(item, Tensor) and item.ndim == 4 and item.shape[2] == n_tokens:
            return item
    return None


def _check_positions(decoder: nn.Module) -> None:
    """Refuse models whose notion of distance cannot be told that chunks share positions."""
    name = type(decoder).__name__
    takes_positions = "position_ids" in inspect.signature(decoder.forward).parameters
    if getattr(decoder.config, "alibi", False) or not takes_positions:
        raise UnsupportedModelError(
            f"{name} cannot be told the positions of tokens (ALiBi counts keys in a cache, and "
            "models without attention have none), so chunks cannot share positions, as the "
            "parallel layout needs, nor the queries after them, as the joint layout needs: pass a "
            "decoder with rotary or learned positions, such as SmolLM2, Llama or Qwen."
        )
