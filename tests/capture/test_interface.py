"""What views name in transformers' interfaces, whatever its version calls it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn
from transformers.cache_utils import DynamicCache

from attnmass.capture.interface import cached


class Before(nn.Module):
    """A model of transformers before 5.24."""

    def forward(self, input_ids: Any, past_key_values: Any = None) -> None:
        """Nothing to compute."""


class Since(nn.Module):
    """The same since then."""

    def forward(self, input_ids: Any, cache: Any = None, **kwargs: Any) -> None:
        """Nothing to compute."""


@pytest.mark.parametrize(("model", "name"), [(Before(), "past_key_values"), (Since(), "cache")])
def test_a_cache_is_passed_by_the_name_that_a_model_has_for_it(model: nn.Module, name: str) -> None:
    """No deprecated argument is passed, not even as `None`."""
    cache = DynamicCache()
    assert cached(model, cache) == {name: cache}
    assert cached(model, None) == {}
