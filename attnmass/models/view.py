"""A second module tree over a caller's weights, so that nothing of the caller's is modified."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from itertools import chain
from typing import Any

from torch import nn

from attnmass.errors import UnsupportedModelError
from attnmass.models.kinds import ARTICLE, kind_of, unwrapped
from attnmass.models.plain import is_plain
from attnmass.models.rotary import changes_with_length, settle

_OF_TORCH = frozenset(vars(nn.Module()))


def find_decoder(model: nn.Module) -> nn.Module:
    """The stack of decoder layers inside `model`, without its language-model head.

    Wrappers are looked through, see `unwrapped`.

    Raises:
        UnsupportedModelError: If `model` is not a transformers decoder.
    """
    inner = unwrapped(model)
    kind = kind_of(inner.config)
    if kind != "decoder":
        raise UnsupportedModelError(
            f"{type(inner).__name__} is {ARTICLE[kind]}, and what is asked for reads the "
            "self-attention of a decoder: pass a decoder such as SmolLM2, Llama or Qwen."
        )
    decoder: nn.Module = inner.get_decoder()
    return decoder


def find_config(model: nn.Module) -> Any:
    """The config that states a model's layers and heads: that of the text part, where it has parts.

    Raises:
        UnsupportedModelError: If it is not a transformers model.
    """
    inner = unwrapped(model)
    return find_decoder(inner).config if kind_of(inner.config) == "decoder" else inner.config


def find_layers(decoder: nn.Module) -> tuple[str, nn.ModuleList]:
    """The name (dotted where it lies deeper) and the list of the model's layers.

    Raises:
        UnsupportedModelError: If there is no list of `config.num_hidden_layers` modules.
    """
    n_layers = getattr(decoder.config, "num_hidden_layers", None)
    for name, child in sorted(decoder.named_modules(), key=lambda item: item[0].count(".")):
        if isinstance(child, nn.ModuleList) and len(child) == n_layers:
            return name, child
    raise UnsupportedModelError(
        f"{type(decoder).__name__} has no list of {n_layers} layers, so its attention cannot be "
        "reached: pass a model from the documentation's table of families."
    )


def shared_view(decoder: nn.Module, *, n_layers: int, implementation: str) -> nn.Module:
    """Copy the modules of `decoder` but not its weights.

    The copy shares every weight with the original, see `shared`, has its own config that names
    `implementation` as its attention, is in eval mode, and ends after `n_layers` layers. The
    original is neither changed nor slowed, even while another thread generates with it.
    """
    view: nn.Module = shared(decoder, layers_above(decoder, n_layers))
    name, layers = find_layers(view)
    above, _, own = name.rpartition(".")
    setattr(view.get_submodule(above), own, layers[:n_layers])
    config: Any = view.config
    cut_config(config, n_layers)
    config._attn_implementation = implementation
    return view


def cut_config(config: Any, n_layers: int) -> None:
    """Cut a config of our own to the first `n_layers`, with what it has for each layer."""
    config.num_hidden_layers = n_layers
    for name in ("layer_types", "attention_window"):
        if isinstance(of_layers := getattr(config, name, None), list):
            setattr(config, name, of_layers[:n_layers])


def layers_above(decoder: nn.Module, n_layers: int) -> list[nn.Module]:
    """The layers of a model after the first `n_layers`."""
    return list(find_layers(decoder)[1])[n_layers:]


def shared(module: nn.Module, skipped: Iterable[nn.Module] = ()) -> Any:
    """Copy modules, but not what they hold, and set the copies to eval mode.

    Every parameter is shared, and every buffer except those of innermost modules without
    parameters, which may write into them while they run (rotary embeddings that follow the length).
    Also shared, whole, is every innermost module with parameters: quantized layers move what they
    hold into their own objects when they first run, and a copy that did so would leave the original
    without it. Copied, however, are those of transformers' own models, which do no such thing and
    may get transformers' hooks, and those in training mode that hold only numbers, since they may
    compute something else there.

    Args:
        module: What to copy.
        skipped: Modules below it that are not copied, and are unusable.
    """
    memo: dict[int, Any] = {id(x): x for x in module.parameters()}
    for each in module.modules():
        if each._modules or each._parameters:
            memo |= {id(x): x for x in each.buffers(recurse=False)}
    kept = {*skipped, *filter(is_whole, module.modules())}
    view = copy.deepcopy(module, memo | {id(each): each for each in kept})
    for _, each in view.named_modules(memo=kept):  # modules that are the caller's own
        each.training = False
        if changes_with_length(each):
            settle(each)
    return view


def is_whole(module: nn.Module) -> bool:
    """Whether a view has this very module, not a copy of it; see `shared`."""
    if module._modules or not any(p is not None for p in module._parameters.values()):
        return False
    if type(module).__module__.startswith("transformers.models."):
        return False
    own = (value for key, value in vars(module).items() if key not in _OF_TORCH)
    held = (getattr(parameter, "__dict__", {}) for parameter in module._parameters.values())
    return not module.training or not all(map(is_plain, chain(own, held)))


def asks_interface(model: nn.Module) -> bool:
    """Whether the family's code asks the attention interface which function to run."""
    return hasattr(inspect.getmodule(type(model)), "ALL_ATTENTION_FUNCTIONS")
