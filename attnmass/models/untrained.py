"""Whether a model's weights are as they were before any training."""

from __future__ import annotations

from torch import Tensor, nn


def is_untrained(model: nn.Module) -> bool:
    """Whether every normalization still is as all of them begin.

    Gains begin as one number, mostly 1, and biases as 0; the first steps of training change that.
    A model without any of these counts as trained.
    """
    gains = [
        parameter.detach()
        for module in model.modules()
        if "norm" in type(module).__name__.lower()
        for parameter in module.parameters(recurse=False)
        if parameter.numel() > 1 and not parameter.is_meta
    ]
    return bool(gains) and all(map(_is_even, gains))


def _is_even(gain: Tensor) -> bool:
    flat = gain.flatten()
    return bool((flat == flat[0]).all())
