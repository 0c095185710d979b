"""Proof, on a few tokens, that what a `CrossReader` reads is the model's own cross-attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attnmass.capture.comparing import EAGER, OTHER_ORDER, check_depth, compare, first_run
from attnmass.capture.seq2seq import CrossReader
from attnmass.models.pair import find_pair, settle_attention, shared_pair

_CHUNK, _SHORT, _QUERY = 6, 3, 3
_KIND = "cross-attention"


def prove_cross(reader: CrossReader, model: nn.Module) -> None:
    """Compare a reader with eager attention of the same model, over two chunks in both orders.

    The chunks are read side by side and looked at together; the model's own eager attention reads
    each alone and has their states joined. Takes a few passes over a dozen tokens.

    Raises:
        UnsupportedModelError: If attention differs; says where and by how much.
        CaptureError: If attention has NaN or infinite values.
    """
    vocabulary = int(reader.config.vocab_size)
    ids = [(number * 7 + 5) % vocabulary for number in range(_CHUNK + _SHORT + _QUERY)]
    chunk, short = ids[:_CHUNK], ids[_CHUNK : _CHUNK + _SHORT]
    query = [reader.start_token, *ids[_CHUNK + _SHORT :]]
    with first_run(reader):
        states = reader.read([chunk, short])
        there = reader.look([query], [_QUERY], states).weights[0]  # [head, key]
        back = reader.look([query], [_QUERY], states[::-1], key_block=1).weights[0]
    expected = _eager(reader, model, [chunk, short], query)
    compare(reader, there, expected, EAGER, kind=_KIND)
    moved = torch.cat([back[:, _SHORT:], back[:, :_SHORT]], dim=1)
    compare(reader, there, moved, OTHER_ORDER, kind=_KIND)


@torch.no_grad()
def _eager(reader: CrossReader, model: nn.Module, chunks: list[list[int]], query: Any) -> Tensor:
    """The query's mean cross-attention over the chunks' states joined, `[head, key]`."""
    view = shared_pair(find_pair(model), n_layers=reader.last_layer + 1, implementation="eager")
    device = reader.device
    states = []
    for chunk in chunks:
        settle_attention(view.encoder, len(chunk))
        states.append(view.encoder(input_ids=torch.tensor([chunk], device=device))[0])
    output = view.decoder(
        input_ids=torch.tensor([query], device=device),
        encoder_hidden_states=torch.cat(states, dim=1),
        use_cache=False,
        output_attentions=True,
    )
    layers = output.cross_attentions or ()
    check_depth(reader, type(view.decoder).__name__, layers, kind=_KIND)
    rows = [layers[layer][0, head, -_QUERY:].float() for layer, head in reader.heads]
    return torch.stack(rows).mean(dim=1)
