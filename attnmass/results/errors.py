"""The error that carries a result."""

from __future__ import annotations

from attnmass.errors import AttnMassError
from attnmass.results.ranking import Ranking


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
