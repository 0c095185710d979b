"""Proof, on a few tokens, that what a reader reads is the model's own attention."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from attnmass.capture.comparing import (
    COARSE,
    EAGER,
    OTHER_ORDER,
    check_depth,
    compare,
    first_run,
    is_half,
)
from attnmass.capture.core import Head
from attnmass.capture.encoder import EncoderReader, encoder_view, find_encoder
from attnmass.capture.encoder_pass import Passage
from attnmass.capture.reader import Reader
from attnmass.capture.states import KeyValues
from attnmass.errors import UnsupportedModelError
from attnmass.models.view import find_config, find_decoder, shared_view

_PREFIX, _CHUNK, _SHORT, _QUERY = 3, 6, 2, 3
_LAYERS = 2  # that are proved in float32, at least: the second reads what the first wrote


def prove(reader: Reader, model: nn.Module) -> None:
    """Compare a reader with eager attention of the same model, and chunks with their permutation.

    A prefix, one chunk and a query, read in three passes, have to give what the model's own eager
    attention gives over the three in one sequence; two chunks have to give the same in either
    order. Takes a few passes over a dozen tokens.

    In half precision, rounding alone can move attention further than a proof may allow: the biases
    of Qwen2.5 give logits of which bfloat16 keeps only the first digits. Such a model is proved in
    float32, on a copy of its first layers, and its own dtype has to come close.

    Raises:
        UnsupportedModelError: If attention differs; says where and by how much.
        CaptureError: If attention has NaN or infinite values.
    """
    vocabulary = int(reader.config.vocab_size)
    ids = (
        torch.arange(_PREFIX + _CHUNK + _SHORT + _QUERY, device=reader.device) * 7 + 5
    ) % vocabulary
    prefix_ids, chunk_ids, short_ids, query_ids = torch.split(
        ids, [_PREFIX, _CHUNK, _SHORT, _QUERY]
    )

    def look(*chunks: KeyValues) -> Tensor:
        positions = torch.arange(_QUERY, device=reader.device) + _PREFIX + _CHUNK
        rows = [torch.arange(_QUERY, device=reader.device)]
        return reader.look(query_ids, positions, (prefix, *chunks), rows)[0]  # [head, key]

    with first_run(reader):
        (prefix,) = reader.read([prefix_ids.tolist()])
        (chunk,) = reader.read([chunk_ids.tolist()], _PREFIX, (prefix,))
        (short,) = reader.read([short_ids.tolist()], _PREFIX, (prefix,))
        alone, there, back = look(chunk), look(chunk, short), look(short, chunk)
    expected = _eager(reader, model, torch.cat([prefix_ids, chunk_ids, query_ids]))
    moved = torch.cat(
        [
            back[:, :_PREFIX],
            back[:, _PREFIX + _SHORT : -_QUERY],
            back[:, _PREFIX : _PREFIX + _SHORT],
            back[:, -_QUERY:],
        ],
        dim=1,
    )
    pairs = ((alone, expected, EAGER), (there, moved, OTHER_ORDER))
    try:
        for found, wanted, what in pairs:
            compare(reader, found, wanted, what)
    except UnsupportedModelError:
        if not is_half(reader):
            raise
        exact = in_float32(reader, model)
        prove(Reader(exact, first_heads(reader, exact)), exact)
        for found, wanted, what in pairs:
            compare(reader, found, wanted, what, tolerance=COARSE)


def prove_encoder(reader: EncoderReader, model: nn.Module) -> None:
    """Compare a reader with eager attention of the same model, each of two passages on its own.

    Args:
        reader: The reader to prove, which reads both passages side by side.
        model: The model it was built from.

    Raises:
        UnsupportedModelError, CaptureError: As `prove`.
    """
    vocabulary, filler = int(reader.config.vocab_size), getattr(reader.config, "pad_token_id", None)
    ids = [number * 7 + 5 for number in range(_CHUNK + _QUERY)]
    ids = [i % vocabulary + (i % vocabulary == filler) for i in ids]
    group, watched = tuple(range(1, _QUERY)), (1, _QUERY)
    passages = [
        Passage(tuple(ids[:size]), (0,) * size, (group,), watched)
        for size in (_CHUNK + _QUERY, _CHUNK)
    ]
    with first_run(reader):
        sights = reader.look(passages)
    for passage, seen in zip(passages, sights, strict=True):
        attention = _eager_encoder(reader, model, passage)  # [head, token, token]
        expected = attention[:, list(group)].mean(dim=1)
        compare(reader, seen.groups[0], expected, EAGER)
        expected = attention[:, :, list(watched)].sum(dim=-1) / len(passage.ids)
        found = seen.to_watched / len(passage.ids)
        compare(reader, found, expected, EAGER)


@torch.no_grad()
def _eager_encoder(reader: EncoderReader, model: nn.Module, passage: Passage) -> Tensor:
    """Attention of the reader's heads in one plain pass, `[head, token, token]`."""
    view = encoder_view(find_encoder(model), reader.last_layer + 1, "eager")
    output = view(
        input_ids=torch.tensor([passage.ids], device=reader.device), output_attentions=True
    )
    layers: tuple[Tensor, ...] = output.attentions or ()
    check_depth(reader, type(view).__name__, layers)
    return torch.stack([layers[layer][0, head].float().cpu() for layer, head in reader.heads])


def first_heads(reader: Reader, model: nn.Module) -> list[Head]:
    """The places of a reader's heads, in each layer of what `in_float32` returned."""
    places = sorted({head for _, head in reader.heads})
    layers = range(find_config(model).num_hidden_layers)
    return [(layer, head) for layer in layers for head in places]


def in_float32(reader: Reader, model: nn.Module) -> nn.Module:
    """The first layers of a model, enough to include each kind of layer, in float32."""
    kinds = list(getattr(reader.config, "layer_types", None) or [])[: reader.last_layer + 1]
    n_layers = max([kinds.index(kind) + 1 for kind in kinds], default=1)
    n_layers = min(max(n_layers, _LAYERS), reader.last_layer + 1)
    view = shared_view(find_decoder(model), n_layers=n_layers, implementation="eager")
    copied = copy.deepcopy(view)
    # transformers refuses this for what it read from a GGUF file, whose weights are floats by then.
    plain = all(parameter.is_floating_point() for parameter in copied.parameters())
    return nn.Module.float(copied) if plain else copied.float()


def _eager(reader: Reader, model: nn.Module, ids: Tensor) -> Tensor:
    """The query's mean attention in one plain causal pass, `[head, key]`."""
    return eager_rows(reader, model, ids)[:, -_QUERY:].mean(dim=1)


@torch.no_grad()
def eager_rows(reader: Reader, model: nn.Module, ids: Tensor) -> Tensor:
    """Attention of a reader's heads in one plain causal pass, fp32, `[head, token, token]`.

    Raises:
        UnsupportedModelError: If the class does not return it, or looks ahead.
    """
    view = shared_view(find_decoder(model), n_layers=reader.last_layer + 1, implementation="eager")
    output = view(input_ids=ids[None], use_cache=False, output_attentions=True)
    layers: tuple[Tensor | None, ...] = output.attentions or ()
    name = type(view).__name__
    check_depth(reader, name, layers)
    rows = []
    for layer, head in reader.heads:
        weights = layers[layer]
        if weights is None or weights.ndim != 4 or weights.shape[-1] != len(ids):
            raise UnsupportedModelError(
                f"layer {layer} of {name} has no attention over all tokens: choose other heads."
            )
        rows.append(weights[0, head].float())
    attention = torch.stack(rows)  # [head, query, key]
    if attention.triu(1).abs().max() > 0:
        raise UnsupportedModelError(
            f"{name} looks ahead, so it is not a causal decoder, which the parallel layout needs: "
            "pass a decoder such as SmolLM2, Llama or Qwen."
        )
    return attention
