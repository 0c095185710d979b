"""The errors that attnmass raises beside `ValueError` and `TypeError` for bad arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnmass.results.types import Ranking


class AttnMassError(Exception):
    """Base of every error that is not simply a bad argument."""


class UnsupportedModelError(AttnMassError):
    """The model, tokenizer or layout cannot give the attention needed; says what to pass."""


class WeightsNotFoundError(AttnMassError):
    """No weights were found for a model name; names the places looked at and how to fetch them."""


class CaptureError(AttnMassError):
    """A forward pass gave attention that cannot be trusted: NaN or infinite values."""


class NoEvidenceError(AttnMassError):
    """The query's attention found too little in the chunks; raised on request only.

    Attributes:
        ranking: The ranking with its evidence; all its chunks are in `dropped`.
    """

    def __init__(self, ranking: Ranking, threshold: float) -> None:
        super().__init__(
            f"no evidence for {ranking.query!r}: {ranking.evidence:.3f} is less than "
            f"{threshold:.3f}. Lower evidence_threshold, or pass on_no_evidence='empty' or 'keep'"
        )
        self.ranking = ranking
        self.threshold = threshold

    def __reduce__(self) -> tuple[type[NoEvidenceError], tuple[Ranking, float]]:
        return type(self), (self.ranking, self.threshold)
