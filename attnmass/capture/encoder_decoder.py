"""Runs the encoder and the decoder of a view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from attnmass.capture.core import Head, ViewReader
from attnmass.capture.interface import cached
from attnmass.capture.states import KeyValues, joined
from attnmass.errors import UnsupportedModelError
from attnmass.models.pair import hides_attention, max_positions, settle_attention
from attnmass.models.state import ModelState


class EncoderDecoder(ViewReader):
    """An encoder-decoder, and what runs it; subclasses say what is read from it.

    Attributes:
        hides_inside: Whether the encoder attends over blocks in its own code (LongT5,
            BigBird-Pegasus), which runs as it is: its states are read, but not where it looks.
    """

    def __init__(self, state: ModelState, pair: Any, heads: Sequence[Head], path: str) -> None:
        """Bind it to a view.

        Args:
            state: Has the view.
            pair: What it is of.
            heads: As in `ViewReader`.
            path: Likewise.
        """
        super().__init__(state, pair.config, heads, path)
        self.hides_inside = hides_attention(pair)

    @property
    def encoder_limit(self) -> int | None:
        """How many tokens the encoder has positions for; `None` for no limit."""
        return max_positions(self.config, "encoder")

    @property
    def decoder_limit(self) -> int | None:
        """How many tokens the decoder has positions for; `None` for no limit."""
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

    def _states(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """What the encoder makes of each row, `[row, token, dim]`, whatever others it is read with.

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
        options = {"output_attentions": True} if self.path == "eager" else {}
        with self._running():
            output = self._view.encoder(input_ids=ids, attention_mask=mask, **options)
        states: Tensor = output[0]
        return states

    def _decode(
        self, ids: Tensor, states: Tensor, mask: Tensor | None, caches: EncoderDecoderCache | None
    ) -> None:
        options = {"output_attentions": True} if self.path == "eager" else {}
        with self._running():
            self._view.decoder(
                input_ids=ids,
                encoder_hidden_states=states,
                encoder_attention_mask=mask,
                use_cache=caches is not None,
                **cached(self._view.decoder, caches),
                **options,
            )

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids padded at their end, and 1 where they are not padding, `[row, token]` both."""
        longest = max(map(len, rows))
        ids = torch.tensor(
            [[*row, *[rows[0][0]] * (longest - len(row))] for row in rows], device=self.device
        )
        sizes = torch.tensor([len(row) for row in rows], device=self.device)
        mask = torch.arange(longest, device=self.device)[None] < sizes[:, None]
        return ids, mask.long()

    def _cache(self, past: Sequence[KeyValues], n_rows: int) -> EncoderDecoderCache:
        """What chunks left behind, in the form that a family's own attention expects."""
        caches = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(self.last_layer + 1):
            like = self._like(past[0].keys[layer], n_rows)
            keys = joined(past, like, layer, "keys", append=False)
            if layer < len(past[0].values):
                values = joined(past, like, layer, "values", append=False)
            else:
                values = torch.zeros_like(keys)  # were not kept and are not needed
            caches.cross_attention_cache.update(keys, values, layer)
            caches.is_updated[layer] = True
        return caches

    def _like(self, stored: Tensor, batch: int) -> Tensor:
        """An empty tensor of the shape and dtype for joined keys."""
        n_heads, _, n_dims = stored.shape
        return torch.empty(batch, n_heads, 0, n_dims, dtype=self.dtype, device=self.device)


def n_heads(config: Any, names: Sequence[str] = ("decoder_attention_heads",)) -> int:
    """How many heads a config gives a layer, by the first of some names that it has."""
    known = (*names, "num_heads", "num_attention_heads")
    return int(next(n for n in (getattr(config, name, None) for name in known) if n))
