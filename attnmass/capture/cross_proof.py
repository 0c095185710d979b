"""Proof, on a few tokens, that what a `CrossReader` reads is the model's own cross-attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attnmass.capture.pair import find_pair, settle_attention, shared_pair
from attnmass.capture.seq2seq import CrossReader
from attnmass.errors import AttnMassError, CaptureError, UnsupportedModelError
from attnmass.out_of_memory import is_out_of_memory

_CHUNK, _SHORT, _QUERY = 6, 3, 3


def prove_cross(reader: CrossReader, model: nn.Module) -> None:
    """Compare a reader with eager attention of the same model, over two chunks in both orders.

    The chunks are read side by side and looked at together; the model's own eager attention reads
    each alone and has their states joined. Takes a few passes over a dozen tokens.

    Args:
        reader: The reader to prove.
        model: The model it was built from.

    Raises:
        UnsupportedModelError: If attention differs; says where and by how much.
        CaptureError: If attention has NaN or infinite values.
    """
    vocabulary = int(reader.config.vocab_size)
    ids = [(number * 7 + 5) % vocabulary for number in range(_CHUNK + _SHORT + _QUERY)]
    chunk, short = ids[:_CHUNK], ids[_CHUNK : _CHUNK + _SHORT]
    query = [reader.start_token, *ids[_CHUNK + _SHORT :]]
    try:
        states = reader.read([chunk, short])
        there = reader.look([query], [_QUERY], states).weights[0]  # [head, key]
        back = reader.look([query], [_QUERY], states[::-1], key_block=1).weights[0]
    except AttnMassError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(
            f"{type(reader.config).__name__.removesuffix('Config')} does not run the way that "
            f"cross-attention is read ({type(error).__name__}: {error}): pass a model from the "
            "README's table of families."
        ) from error
    expected = _eager(reader, model, [chunk, short], query)
    _compare(reader, there, expected, "its eager attention over the same tokens")
    moved = torch.cat([back[:, _SHORT:], back[:, :_SHORT]], dim=1)
    _compare(reader, there, moved, "the same chunks in another order")


@torch.inference_mode()
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
    name = type(view.decoder).__name__
    if len(layers) != reader.last_layer + 1:
        raise UnsupportedModelError(
            f"{name} returned cross-attention of {len(layers)} layers where "
            f"{reader.last_layer + 1} ran, so heads cannot be told apart: pass a model from the "
            "README's table of families."
        )
    rows = [layers[layer][0, head, -_QUERY:].float() for layer, head in reader.heads]
    return torch.stack(rows).mean(dim=1)


def _compare(reader: CrossReader, found: Tensor, expected: Tensor, what: str) -> None:
    half = reader.dtype in (torch.float16, torch.bfloat16)
    tolerance = 6e-2 if half else 2e-3  # as for decoders
    name = type(reader.config).__name__.removesuffix("Config")
    if not torch.isfinite(found).all():
        raise CaptureError(f"attention of {name} has NaN or infinite values in {reader.dtype}")
    gap = (found - expected).abs().sum(dim=1) / 2  # [head]
    worst = int(gap.argmax())
    if gap[worst] > tolerance:
        layer, head = reader.heads[worst]
        raise UnsupportedModelError(
            f"{name}: cross-attention of layer {layer}, head {head} differs from {what} by "
            f"{float(gap[worst]):.2g} (allowed: {tolerance}), so its scores could not be trusted. "
            "Pass a model from the README's table of families, or report the family."
        )
