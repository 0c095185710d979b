"""The question encoder of a Hugging Face RAG model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from attnmass.errors import UnsupportedModelError
from attnmass.models.ambient import alone
from attnmass.models.kinds import bare, is_rag
from attnmass.models.state import ModelState
from attnmass.models.view import shared


class QuestionEncoder:
    """Encodes questions as the RAG model itself does, on a copy that shares its weights."""

    def __init__(self, model: nn.Module) -> None:
        """Build the copy.

        Args:
            model: A `RagModel`, `RagSequenceForGeneration` or `RagTokenForGeneration`.

        Raises:
            UnsupportedModelError: If it is not one.
        """
        if not is_rag(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} is not a RAG model: pass a RagSequenceForGeneration or a "
                "RagTokenForGeneration."
            )
        self._state = ModelState(
            lambda: {"": bare(model).question_encoder},
            tuple,
            lambda: shared(bare(model).question_encoder),
        )

    @alone
    @torch.no_grad()
    def __call__(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The vector that documents are searched with, `[1, dim]`.

        Args:
            ids: Tokens of the question, special ones included.
        """
        self._state.follow(_nothing)
        view = self._state.view
        device = next(view.parameters()).device
        output = view(input_ids=torch.tensor([list(ids)], device=device))
        vector: NDArray[np.float32] = output[0].float().cpu().numpy()
        return vector


def _nothing() -> None:
    """A copy of the whole needs no proof."""
