"""The errors that attnmass raises besides `ValueError` and `TypeError` for bad arguments."""

from __future__ import annotations


class AttnMassError(Exception):
    """Base of every error that is not simply a bad argument."""


class UnsupportedModelError(AttnMassError):
    """The model, tokenizer or layout cannot give the attention needed; says what to pass."""


class WeightsNotFoundError(AttnMassError):
    """No weights were found for a name, or no complete ones; names the places and what to do."""


class OutOfMemoryError(AttnMassError, MemoryError):
    """Memory ran out on the least that can be read at once; says what to pass to need less."""


class CaptureError(AttnMassError):
    """A forward pass gave attention that cannot be trusted: NaN or infinite values."""


class ServerError(AttnMassError):
    """A server could not be asked, or did not answer as `attnmass serve` does; says what to do.

    Attributes:
        status: The HTTP status of its answer; `None` where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[ServerError], tuple[str, int | None]]:
        return type(self), (str(self), self.status)
