"""Runs an encoder-decoder and reads the cross-attention of selected heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from attnmass.capture.band import dense
from attnmass.capture.core import Head, by_layer, deepest, in_order
from attnmass.capture.cross_pass import ACTIVE, CROSS_INTERFACE, CrossAttention, CrossPass
from attnmass.capture.encoder_decoder import EncoderDecoder, n_heads
from attnmass.capture.forward import StopForward, passing
from attnmass.capture.states import KeyValues, by_row, joined
from attnmass.errors import UnsupportedModelError
from attnmass.models.pair import (
    cross_modules,
    decoder_layers_above,
    encoder_modules,
    find_pair,
    shared_pair,
    uses_interface,
)
from attnmass.models.state import ModelState


class CrossReader(EncoderDecoder):
    """A transformers encoder-decoder, its decoder cut after the last selected head.

    See also `ViewReader`; the heads are the decoder's.

    Attributes:
        keeps_values: Whether the last layer's values are kept, for `look(value_norm=True)`.
        kept_heads: Which KV heads of the last layer `read` keeps, known after the first pass, which
            `prove_cross` makes; `None` is all.
    """

    def __init__(
        self, model: nn.Module, heads: Iterable[Head], *, keeps_values: bool = False
    ) -> None:
        """Build the view.

        Args:
            model: A transformers encoder-decoder, with or without its language-model head.
            heads: `(layer, head)` of the decoder, 0-based, as in a checked profile.
            keeps_values: See the class.

        Raises:
            UnsupportedModelError: If the model's cross-attention cannot be read.
        """
        pair = find_pair(model)
        heads = tuple(heads)
        is_eager = not uses_interface(pair)
        n_layers = deepest(heads) + 1

        def roots() -> dict[str, nn.Module]:
            found = find_pair(model)
            return {"encoder": found.encoder, "decoder": found.decoder}

        state = ModelState(
            roots,
            lambda: decoder_layers_above(find_pair(model).decoder, n_layers),
            lambda: shared_pair(
                find_pair(model),
                n_layers=n_layers,
                implementation="eager" if is_eager else CROSS_INTERFACE,
            ),
        )
        super().__init__(state, pair, heads, "eager" if is_eager else "interface")
        self.keeps_values = keeps_values
        self._encoder_heads = () if self.hides_inside else _at_same_depth(self.heads, pair)
        self.kept_heads: tuple[int, ...] | None = None
        self._bind()
        self._group = 1  # heads that share the keys of one, known after the first pass

    def _bind(self) -> None:
        self.kept_heads = None
        self._cross = {id(m): layer for layer, m in enumerate(cross_modules(self._view))}
        self._inside = [] if self.hides_inside else encoder_modules(self._view)
        if self.path == "eager":
            self._hook()

    @torch.no_grad()
    def read(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        """Run sequences of tokens through the encoder, each on its own; keep what decoders look at.

        Args:
            rows: Token ids, each at least one.

        Returns:
            For each row, the cross-attention keys of each layer that runs, `[kv_head, token, dim]`,
            and values likewise, except for the last layer unless `keeps_values`. Where the family
            goes through the interface, the last layer has only the heads that are read.
        """
        _, mask = self._padded(rows)
        states = self._states(rows)
        caches = EncoderDecoderCache(DynamicCache(), DynamicCache())
        start = torch.full((len(rows), 1), self.start_token, device=self.device)
        # Keys depend on the encoder alone: one token makes every layer compute its own.
        self._decode(start, states, mask, caches)
        layers: list[Any] = caches.cross_attention_cache.layers
        keys: list[Tensor] = [layer.keys for layer in layers]
        values: list[Tensor] = [layer.values for layer in layers]
        self._group = n_heads(self._view.decoder.config) // keys[-1].shape[1]
        if self.path == "interface":
            last = self._by_layer[self.last_layer]
            self.kept_heads = tuple(sorted({head // self._group for head in last}))
            keys[-1], values[-1] = (x[-1][:, list(self.kept_heads)] for x in (keys, values))
        if not self.keeps_values:
            values.pop()
        positions = torch.arange(max(map(len, rows)), device=self.device)
        return by_row(keys, values, positions, rows)

    @torch.no_grad()
    def look(
        self,
        rows: Sequence[Sequence[int]],
        lengths: Sequence[int],
        past: Sequence[KeyValues],
        *,
        by_token: Sequence[int] = (),
        value_norm: bool = False,
        key_block: int | None = None,
    ) -> CrossAttention:
        """Run queries through the decoder over the joined states of all chunks.

        Args:
            rows: What the decoder reads for each query, its first token included.
            lengths: Over how many of the last tokens of each query attention is averaged.
            by_token: How many of the last tokens of each query are also reported one by one;
                default: none.
            past: What chunks left, see `read`; their order plays no part.
            value_norm: Weight attention by the norm of the values, as shares of the sum.
            key_block: Keys that are looked at together, fewer of them in less memory; default: all.
                A family that is read from its own eager attention looks at all.

        Returns:
            Attention of the query's rows, the keys being those of `past` one after the other; for
            single tokens, zeros after those of a query that has fewer of them.
        """
        ids, _ = self._padded(rows)
        n_groups = 1 + max(by_token, default=0)
        weights = torch.zeros(
            len(rows), n_groups, ids.shape[1], device=self.device, dtype=torch.float32
        )
        for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            weights[i, 0, len(row) - length : len(row)] = 1 / length
        for i, (row, n_tokens) in enumerate(zip(rows, by_token, strict=False)):
            for number in range(n_tokens):
                weights[i, 1 + number, len(row) - n_tokens + number] = 1
        state = CrossPass(
            weights,
            self._by_layer,
            cross=self._cross,
            past=past,
            last_layer=self.last_layer,
            kept_heads=self.kept_heads,
            key_block=key_block,
        )
        width = int(self._view.decoder.get_input_embeddings().embedding_dim)
        nothing = torch.zeros((), device=self.device, dtype=self.dtype)
        if self.path == "interface":  # the pass has the keys; a single empty state stands for them
            self._run(state, ids, nothing.expand(len(rows), 1, width), None)
        else:
            n_keys = sum(map(len, past))
            left = self._cache(past, len(rows))
            self._run(state, ids, nothing.expand(len(rows), n_keys, width), left)
        found = in_order(state.recorded, self.heads)  # [query, head, group, key]
        logs = in_order(state.logs, self.heads)
        if value_norm:
            found = found * self._norms(past)[:, None]
            found = found / found.sum(dim=-1, keepdim=True).clamp_min(1e-30)
        each = None
        if n_groups > 1:
            each = CrossAttention(found[:, :, 1:].transpose(1, 2), logs[:, :, 1:].transpose(1, 2))
        return CrossAttention(found[:, :, 0], logs[:, :, 0], each)

    @torch.no_grad()
    def look_inside(
        self, rows: Sequence[Sequence[int]], groups: Sequence[Sequence[Sequence[int]]]
    ) -> list[Tensor]:
        """See where groups of tokens look inside the encoder.

        The decoder's head `(layer, head)` stands for the encoder's at the same fraction of the
        depth and with the same number; where the encoder has fewer heads, counting starts over.

        Args:
            rows: Token ids, each at least one.
            groups: For each row, the token indices of each group.

        Returns:
            For each row, the attention averaged over each group, fp32, `[group, head, token]`.

        Raises:
            UnsupportedModelError: If the encoder `hides_inside`.
        """
        if self.hides_inside:
            raise UnsupportedModelError(
                f"{type(self._view.encoder).__name__} attends over blocks of tokens, which does "
                "not tell where each of them looks: leave out resolve_context, or pass another "
                "model"
            )
        ids, mask = self._padded(rows)
        weights = torch.zeros(
            len(rows), max(map(len, groups)), ids.shape[1], device=self.device, dtype=torch.float32
        )
        for i, mine in enumerate(groups):
            for number, group in enumerate(mine):
                weights[i, number, list(group)] = 1 / len(group)
        unique = tuple(dict.fromkeys(self._encoder_heads))
        grouped = by_layer(unique)
        state = CrossPass(
            weights,
            grouped,
            inside={id(self._inside[layer]): layer for layer in grouped},
            last_layer=max(grouped),
        )
        with passing(ACTIVE, state):
            self._encode(ids, mask)
        found = in_order(state.recorded, unique)  # [row, head, group, key]
        found = found[:, [unique.index(head) for head in self._encoder_heads]]
        return [
            found[i, :, : len(mine), : len(row)].transpose(0, 1)
            for i, (row, mine) in enumerate(zip(rows, groups, strict=True))
        ]

    def _run(
        self, state: CrossPass, ids: Tensor, states: Tensor, caches: EncoderDecoderCache | None
    ) -> None:
        with passing(ACTIVE, state):
            self._decode(ids, states, None, caches)
        self._check_recorded(
            state.recorded,
            self._view.decoder,
            "has no cross-attention to read: choose heads of other layers.",
        )

    def _norms(self, past: Sequence[KeyValues]) -> Tensor:
        """Length of the value of each key for each head, fp32, `[head, key]`."""
        found = []
        for layer, head in self.heads:
            stored = past[0].values[layer]
            values = joined(past, self._like(stored, 1), layer, "values", append=False)[0]
            mine = head // self._group
            if layer == self.last_layer and self.kept_heads is not None:
                mine = self.kept_heads.index(mine)
            found.append(values[mine].float().norm(dim=-1))
        return torch.stack(found)

    def _hook(self) -> None:
        """Read a family's own weights from the modules that return them."""
        count = n_heads(self._view.encoder.config, ("encoder_attention_heads",))

        def hook(module: nn.Module, args: Any, output: Any) -> None:
            state = ACTIVE.get(None)
            if state is None:
                return
            weights = [x for x in output if isinstance(x, Tensor) and x.ndim == 4]
            layer = state.cross.get(id(module), state.inside.get(id(module)))
            if layer is None or layer not in state.heads or not weights:
                return
            heads = list(state.heads[layer])
            if id(module) in state.cross:
                state.keep(layer, weights[-1][:, heads].float(), weights[-1].dtype)
            else:
                whole = dense(weights[-1], count, state.rows.shape[-1])
                state.keep_inside(layer, whole[:, heads].float(), whole.dtype)
            if layer == state.last_layer:
                raise StopForward

        for module in (*cross_modules(self._view), *self._inside):
            module.register_forward_hook(hook)


def _at_same_depth(heads: Sequence[Head], pair: Any) -> tuple[Head, ...]:
    """The encoder's heads that stand for some of the decoder's, see `CrossReader.look_inside`."""
    n_encoder, n_decoder = len(encoder_modules(pair)), len(cross_modules(pair))
    count = n_heads(pair.encoder.config, ("encoder_attention_heads",))
    return tuple((layer * n_encoder // n_decoder, head % count) for layer, head in heads)
