"""Encoder and decoder of a model, and a second module tree over their weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from torch import nn

from attnmass.errors import UnsupportedModelError
from attnmass.models.kinds import ARTICLE, kind_of, unwrapped
from attnmass.models.view import asks_interface, shared

# What families call the attention from decoder to encoder, and the attention inside the encoder.
_CROSS = ("EncDecAttention", "encoder_attn", "cross_attn")
_SELF = ("SelfAttention", "self_attn")
# Attention over blocks in LongT5's encoder. BigBird-Pegasus's is set by `set_attention_type`.
_BLOCKS = ("LocalSelfAttention", "TransientGlobalSelfAttention")

_ADVICE = (
    "pass a T5, BART, Pegasus or LED model, or one from the documentation's table of families."
)


class Pair(nn.Module):
    """Encoder and decoder of a model, without its language-model head.

    Attributes:
        config: That of the whole model.
        encoder: Its encoder.
        decoder: Its decoder.
    """

    encoder: Any
    decoder: Any

    def __init__(self, config: Any, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.decoder = decoder

    def get_input_embeddings(self) -> Any:
        """The token embeddings, which both share."""
        return self.encoder.get_input_embeddings()


def find_pair(model: nn.Module) -> Pair:
    """Encoder and decoder inside `model`; wrappers are looked through, see `unwrapped`.

    Raises:
        UnsupportedModelError: If `model` is not a transformers encoder-decoder.
    """
    inner = unwrapped(model)
    kind = kind_of(inner.config)
    if kind != "encoder-decoder":
        raise UnsupportedModelError(
            f"{type(inner).__name__} is {ARTICLE[kind]}, and what is asked for reads "
            f"cross-attention: {_ADVICE}"
        )
    return Pair(inner.config, inner.get_encoder(), inner.get_decoder())


def shared_pair(pair: Pair, *, n_layers: int, implementation: str) -> Pair:
    """Copy the modules of a pair but not its weights.

    The copy shares every weight with the original, see `shared`, has its own configs that name
    `implementation` as their attention, and is in eval mode; its decoder ends after `n_layers`
    layers. The original is neither changed nor slowed.
    """
    view: Pair = shared(pair, decoder_layers_above(pair.decoder, n_layers))
    name, layers = _layers(view.decoder)
    setattr(view.decoder, name, layers[:n_layers])
    configs = {id(config): config for config in _configs(view)}
    for depth in ("num_decoder_layers", "decoder_layers"):
        if getattr(view.config, depth, None) is not None:
            setattr(view.config, depth, n_layers)  # as in a model that was only partly loaded
    for config in configs.values():
        config._attn_implementation = implementation
    if hides_attention(view):  # its own code makes its masks
        copies: dict[int, Any] = {}
        for module in view.encoder.modules():
            config = getattr(module, "config", None)
            if config is not None:
                module.config = copies.setdefault(id(config), copy.deepcopy(config))
                module.config._attn_implementation = "eager"
    return view


def decoder_layers_above(decoder: nn.Module, n_layers: int) -> list[nn.Module]:
    """The layers of a decoder after the first `n_layers`."""
    return list(_layers(decoder)[1])[n_layers:]


def hides_attention(pair: Pair) -> bool:
    """Whether the encoder attends over blocks, in its own code, so that only its states show."""
    return hasattr(pair.encoder, "set_attention_type") or any(
        path.rpartition(".")[2] in _BLOCKS for path, _ in pair.encoder.named_modules()
    )


def settle_attention(encoder: Any, n_tokens: int) -> None:
    """Let an encoder attend as a fresh one does to this many tokens.

    BigBird-Pegasus's switches to full attention at the first text that is too short for blocks, and
    stays there: what a chunk leaves would depend on what was read before it. Others are left alone.
    """
    if not hasattr(encoder, "set_attention_type"):
        return
    config = encoder.config
    least = (5 + 2 * config.num_random_blocks) * config.block_size
    encoder.set_attention_type("original_full" if n_tokens <= least else config.attention_type)


def cross_modules(pair: Pair) -> list[Any]:
    """The decoder's cross-attention modules, by layer.

    Raises:
        UnsupportedModelError: If a layer has none that is known here.
    """
    return _attention_modules(pair.decoder, _CROSS)


def encoder_modules(pair: Pair) -> list[Any]:
    """The encoder's self-attention modules, by layer; errors as in `cross_modules`."""
    return _attention_modules(pair.encoder, _SELF)


def uses_interface(pair: Pair) -> bool:
    """Whether the attention that is read asks transformers' interface which function to run."""
    read = [cross_modules(pair)[0]]
    if not hides_attention(pair):
        read.append(encoder_modules(pair)[0])
    return all(map(asks_interface, read))


def max_positions(config: Any, stack: str) -> int | None:
    """How many positions the `"encoder"` or the `"decoder"` knows; `None` for no limit.

    T5 and its kin have relative positions, which have no limit.
    """
    for name in (f"max_{stack}_position_embeddings", "max_position_embeddings"):
        limit = getattr(config, name, None)
        if limit:
            return int(limit)
    return None


def _layers(stack: Any) -> tuple[str, nn.ModuleList]:
    for name, child in stack.named_children():
        if isinstance(child, nn.ModuleList) and len(child):
            return name, child
    raise UnsupportedModelError(f"{type(stack).__name__} has no list of layers: {_ADVICE}")


def _attention_modules(stack: Any, names: tuple[str, ...]) -> list[Any]:
    found = []
    for number, layer in enumerate(_layers(stack)[1]):
        mine = [m for path, m in layer.named_modules() if path.rpartition(".")[2] in names]
        if not mine:
            raise UnsupportedModelError(
                f"layer {number} of {type(stack).__name__} has no attention module called "
                f"{' or '.join(names)}, so its attention cannot be reached: {_ADVICE}"
            )
        found.append(mine[0])
    return found


def _configs(view: Pair) -> Iterator[Any]:
    for module in view.modules():
        config = getattr(module, "config", None)
        if config is not None:
            yield config
