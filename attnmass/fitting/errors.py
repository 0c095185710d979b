"""What fitting refuses."""

from __future__ import annotations

from attnmass.errors import AttnMassError


class DataError(ValueError):
    """Labelled data that cannot be used; names the file and the line."""


class NotBetterError(AttnMassError):
    """A profile that is no better on held-out queries than what there is without it.

    Attributes:
        reasons: What it is no better than, and by how much, in sentences.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(
            f"the profile is not written: {'; '.join(reasons)}. "
            "More or other labelled queries may help; force=True writes it all the same"
        )
        self.reasons = reasons

    def __reduce__(self) -> tuple[type[NotBetterError], tuple[tuple[str, ...]]]:
        return type(self), (self.reasons,)
