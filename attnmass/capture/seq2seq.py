"""Runs an encoder-decoder and reads the cross-attention of selected heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from attnmass.capture.band import dense
from attnmass.capture.cross_pass import ACTIVE, CROSS_INTERFACE, CrossPass
from attnmass.capture.forward import StopForward
from attnmass.capture.reader import Head
from attnmass.capture.states import KeyValues, joined
from attnmass.errors import UnsupportedModelError
from attnmass.models.identity import Identity
from attnmass.models.pair import (
    cross_modules,
    encoder_modules,
    find_pair,
    hides_attention,
    max_positions,
    settle_attention,
    shared_pair,
    uses_interface,
)


@dataclass(frozen=True)
class CrossAttention:
    """Where the selected heads look from the rows of each query, fp32.

    Attributes:
        weights: Attention averaged over the rows, `[query, head, key]`; sums to 1 over the keys.
        logs: Its logarithm averaged over the rows, likewise: the scores before the softmax, but for
            a number that all keys of a head share.
        each: The same of single tokens, where that was asked for, `[query, token, head, key]`.
    """

    weights: Tensor
    logs: Tensor
    each: CrossAttention | None = None


class CrossReader:
    """A transformers encoder-decoder, its decoder cut after the last selected head.

    Nothing of the model that is passed in is written to: the reader works on a view that shares its
    weights. One thread at a time may use a reader.

    Attributes:
        heads: The selected heads of the decoder in the order of the results, `(layer, head)`.
        path: `"interface"` where attention goes through transformers' attention interface,
            `"eager"` where the weights that a family's own eager attention returns are read.
        hides_inside: Whether the encoder attends over blocks in code of its own (LongT5,
            BigBird-Pegasus), which runs as it is: its states are read, where it looks is not.
        keeps_values: Whether the last layer's values are kept, for `look(value_norm=True)`.
        kept_heads: Which KV heads of the last layer `read` keeps, known after the first pass, which
            `prove_cross` makes; `None` is all.
        identity: Called, a digest of the layers that run, as their weights are now.
    """

    def __init__(
        self, model: nn.Module, heads: Iterable[Head], *, keeps_values: bool = False
    ) -> None:
        """Build the view.

        Args:
            model: A transformers encoder-decoder, with or without its language-model head.
            heads: `(layer, head)` of the decoder, 0-based, as a checked profile has them.
            keeps_values: See the class.

        Raises:
            UnsupportedModelError: If the model's cross-attention cannot be read.
        """
        pair = find_pair(model)
        self.config: Any = pair.config
        self.heads = tuple(heads)
        self.keeps_values = keeps_values
        self.last_layer = max(layer for layer, _ in self.heads)
        self._by_layer = _grouped(self.heads)
        self.path = "interface" if uses_interface(pair) else "eager"
        is_eager = self.path == "eager"
        self._view = shared_pair(
            pair,
            n_layers=self.last_layer + 1,
            implementation="eager" if is_eager else CROSS_INTERFACE,
        )
        self._cross = {id(m): layer for layer, m in enumerate(cross_modules(self._view))}
        self.hides_inside = hides_attention(pair)
        self._inside = [] if self.hides_inside else encoder_modules(self._view)
        self._encoder_heads = () if self.hides_inside else _at_same_depth(self.heads, pair)
        if is_eager:
            self._hook()
        self._home = self.device
        self.identity = Identity(self._view)
        self.kept_heads: tuple[int, ...] | None = None
        self._group = 1  # heads that share the keys of one, known after the first pass

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return next(self._view.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self._view.parameters()).dtype

    @property
    def encoder_limit(self) -> int | None:
        """How many tokens the encoder knows positions of, `None` for no limit."""
        return max_positions(self.config, "encoder")

    @property
    def decoder_limit(self) -> int | None:
        """How many tokens the decoder knows positions of, `None` for no limit."""
        return max_positions(self.config, "decoder")

    @property
    def start_token(self) -> int:
        """What the decoder starts with.

        Raises:
            UnsupportedModelError: If the config does not say.
        """
        start = getattr(self.config, "decoder_start_token_id", None)
        if start is None:
            raise UnsupportedModelError(
                f"the config of this {self.config.model_type} model has no decoder_start_token_id: "
                "set it before the ranker is built."
            )
        return int(start)

    @torch.inference_mode()
    def read(self, rows: Sequence[Sequence[int]]) -> list[KeyValues]:
        """Run runs of tokens through the encoder, each on its own, and keep what decoders look at.

        Args:
            rows: Token ids, each at least one.

        Returns:
            For each run the cross-attention keys of each layer that runs, `[kv_head, token, dim]`,
            and values likewise but for the last layer, unless `keeps_values`. Where the family
            goes through the interface the last layer has only the heads that are read.
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
        self._group = _n_heads(self._view.decoder.config) // keys[-1].shape[1]
        if self.path == "interface":
            last = self._by_layer[self.last_layer]
            self.kept_heads = tuple(sorted({head // self._group for head in last}))
            keys[-1], values[-1] = (x[-1][:, list(self.kept_heads)] for x in (keys, values))
        if not self.keeps_values:
            values.pop()
        return [
            KeyValues(
                tuple(key[i, :, : len(row)] for key in keys),
                tuple(value[i, :, : len(row)] for value in values),
                torch.arange(len(row), device=self.device),
            )
            for i, row in enumerate(rows)
        ]

    @torch.inference_mode()
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
        """Run queries through the decoder over the states of all chunks joined.

        Args:
            rows: What the decoder reads for each query, its first token included.
            lengths: Over how many of the last tokens of each attention is averaged.
            by_token: How many of the last tokens of each are told one by one, too; default: none.
            past: What chunks left, see `read`; which come first plays no part.
            value_norm: Weigh attention by the norm of the values, as shares of the sum.
            key_block: Keys that are looked at together, fewer of them in less memory; default: all.
                A family that is read from its own eager attention looks at all.

        Returns:
            Attention of the query's rows, the keys being those of `past` one after the other; of
            single tokens zeros behind those of a query that has fewer of them.
        """
        ids, _ = self._padded(rows)
        n_groups = 1 + max(by_token, default=0)
        weights = torch.zeros(len(rows), n_groups, ids.shape[1], device=self.device)
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
            self._run(state, ids, nothing.expand(len(rows), n_keys, width), self._cache(state))
        found = _in_order(state.recorded, self.heads)  # [query, head, group, key]
        logs = _in_order(state.logs, self.heads)
        if value_norm:
            found = found * self._norms(past)[:, None]
            found = found / found.sum(dim=-1, keepdim=True).clamp_min(1e-30)
        each = None
        if n_groups > 1:
            each = CrossAttention(found[:, :, 1:].transpose(1, 2), logs[:, :, 1:].transpose(1, 2))
        return CrossAttention(found[:, :, 0], logs[:, :, 0], each)

    @torch.inference_mode()
    def look_inside(
        self, rows: Sequence[Sequence[int]], groups: Sequence[Sequence[Sequence[int]]]
    ) -> list[Tensor]:
        """See where groups of tokens look inside the encoder.

        The decoder's head `(layer, head)` stands for the encoder's at the same share of the depth
        and with the same number; where the encoder has fewer heads, they are counted again.

        Args:
            rows: Token ids, each at least one.
            groups: For each run the token indices of each group.

        Returns:
            For each run the attention averaged over each group, fp32, `[group, head, token]`.

        Raises:
            UnsupportedModelError: If it `hides_inside`.
        """
        if self.hides_inside:
            raise UnsupportedModelError(
                f"{type(self._view.encoder).__name__} attends over blocks of tokens, which does "
                "not tell where each of them looks: leave out resolve_context, or pass another "
                "model"
            )
        ids, mask = self._padded(rows)
        weights = torch.zeros(len(rows), max(map(len, groups)), ids.shape[1], device=self.device)
        for i, mine in enumerate(groups):
            for number, group in enumerate(mine):
                weights[i, number, list(group)] = 1 / len(group)
        unique = tuple(dict.fromkeys(self._encoder_heads))
        by_layer = _grouped(unique)
        state = CrossPass(
            weights,
            by_layer,
            inside={id(self._inside[layer]): layer for layer in by_layer},
            last_layer=max(by_layer),
        )
        token = ACTIVE.set(state)
        try:
            self._encode(ids, mask)
        except StopForward:
            pass
        finally:
            ACTIVE.reset(token)
        found = _in_order(state.recorded, unique)  # [row, head, group, key]
        found = found[:, [unique.index(head) for head in self._encoder_heads]]
        return [
            found[i, :, : len(mine), : len(row)].transpose(0, 1)
            for i, (row, mine) in enumerate(zip(rows, groups, strict=True))
        ]

    def _states(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """What the encoder makes of each run, `[row, token, dim]`, whatever others it is read with.

        Encoders that attend over blocks lay them out by the length of the padded batch.
        """
        if not self.hides_inside:
            return self._encode(*self._padded(rows))
        found = []
        for row in rows:
            settle_attention(self._view.encoder, len(row))
            found.append(self._encode(*self._padded([row]))[0])
        return nn.utils.rnn.pad_sequence(found, batch_first=True)

    def _encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        self._check_home()
        options = {"output_attentions": True} if self.path == "eager" else {}
        output = self._view.encoder(input_ids=ids, attention_mask=mask, **options)
        states: Tensor = output[0]
        return states

    def _decode(
        self, ids: Tensor, states: Tensor, mask: Tensor | None, caches: EncoderDecoderCache | None
    ) -> None:
        self._check_home()
        options = {"output_attentions": True} if self.path == "eager" else {}
        self._view.decoder(
            input_ids=ids,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            past_key_values=caches,
            use_cache=caches is not None,
            **options,
        )

    def _run(
        self, state: CrossPass, ids: Tensor, states: Tensor, caches: EncoderDecoderCache | None
    ) -> None:
        token = ACTIVE.set(state)
        try:
            self._decode(ids, states, None, caches)
        except StopForward:
            pass
        finally:
            ACTIVE.reset(token)
        missing = set(self._by_layer) - set(state.recorded)
        if missing:
            raise UnsupportedModelError(
                f"layer {min(missing)} of {type(self._view.decoder).__name__} has no "
                "cross-attention to read: choose heads of other layers."
            )

    def _cache(self, state: CrossPass) -> EncoderDecoderCache:
        """What chunks left, as a family's own attention finds it."""
        caches = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(self.last_layer + 1):
            like = self._like(state.past[0].keys[layer], len(state.rows))
            keys = joined(state.past, like, layer, "keys", append=False)
            if layer < len(state.past[0].values):
                values = joined(state.past, like, layer, "values", append=False)
            else:
                values = torch.zeros_like(keys)  # were not kept and are not needed
            caches.cross_attention_cache.update(keys, values, layer)
            caches.is_updated[layer] = True
        return caches

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

    def _like(self, stored: Tensor, batch: int) -> Tensor:
        """An empty tensor of the shape and dtype that joined keys are to have."""
        n_heads, _, n_dims = stored.shape
        return torch.empty(batch, n_heads, 0, n_dims, dtype=self.dtype, device=self.device)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids filled up at their end, and 1 where they are not, `[row, token]` both."""
        longest = max(map(len, rows))
        ids = torch.tensor(
            [[*row, *[rows[0][0]] * (longest - len(row))] for row in rows], device=self.device
        )
        sizes = torch.tensor([len(row) for row in rows], device=self.device)
        mask = torch.arange(longest, device=self.device)[None] < sizes[:, None]
        return ids, mask.long()

    def _check_home(self) -> None:
        if self.device != self._home:
            raise UnsupportedModelError(
                f"the model was moved from {self._home} to {self.device} after the ranker was "
                "built: build a new ranker"
            )

    def _hook(self) -> None:
        """Read a family's own weights from the modules that return them."""
        n_heads = _n_heads(self._view.encoder.config, ("encoder_attention_heads",))

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
                whole = dense(weights[-1], n_heads, state.rows.shape[-1])
                state.keep_inside(layer, whole[:, heads].float(), whole.dtype)
            if layer == state.last_layer:
                raise StopForward

        for module in (*cross_modules(self._view), *self._inside):
            module.register_forward_hook(hook)


def _grouped(heads: Sequence[Head]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for layer, head in heads:
        found.setdefault(layer, []).append(head)
    return found


def _in_order(recorded: dict[int, Tensor], heads: Sequence[Head]) -> Tensor:
    """What was recorded by layer, `[batch, selected, ...]`, in the order of `heads`."""
    by_layer = _grouped(heads)
    return torch.stack(
        [recorded[layer][:, by_layer[layer].index(head)] for layer, head in heads], dim=1
    )


def _at_same_depth(heads: Sequence[Head], pair: Any) -> tuple[Head, ...]:
    """The encoder's heads that stand for some of the decoder's, see `CrossReader.look_inside`."""
    n_encoder, n_decoder = len(encoder_modules(pair)), len(cross_modules(pair))
    n_heads = _n_heads(pair.encoder.config, ("encoder_attention_heads",))
    return tuple((layer * n_encoder // n_decoder, head % n_heads) for layer, head in heads)


def _n_heads(config: Any, names: Sequence[str] = ("decoder_attention_heads",)) -> int:
    known = (*names, "num_heads", "num_attention_heads")
    return int(next(n for n in (getattr(config, name, None) for name in known) if n))
