"""The question encoder of a Hugging Face RAG model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from attnmass.errors import UnsupportedModelError
from attnmass.models.kinds import bare, is_rag


class QuestionEncoder:
    """Encodes questions as the RAG model itself does, on a copy that shares its weights."""

    def __init__(self, model: nn.Module) -> None:
        """Build the copy.

        Args:
            model: A `RagModel`, `RagSequenceForGeneration` or `RagTokenForGeneration`.

        Raises:
            UnsupportedModelError: If it is none.
        """
        if not is_rag(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} is no RAG model: pass a RagSequenceForGeneration or a "
                "RagTokenForGeneration."
            )
        encoder: nn.Module = bare(model).question_encoder
        memo: dict[int, Any] = {id(x): x for x in chain(encoder.parameters(), encoder.buffers())}
        self._view: Any = copy.deepcopy(encoder, memo).eval()

    @torch.inference_mode()
    def __call__(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The vector that documents are looked up by, `[1, dim]`.

        Args:
            ids: Tokens of the question, special ones included.
        """
        device = next(self._view.parameters()).device
        output = self._view(input_ids=torch.tensor([list(ids)], device=device))
        vector: NDArray[np.float32] = output[0].float().cpu().numpy()
        return vector
