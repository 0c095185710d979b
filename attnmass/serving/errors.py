"""What is answered where something is wrong: the same body, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attnmass.cluster.errors import ShardUnavailableError
from attnmass.errors import AttnMassError, CaptureError, OutOfMemoryError, UnsupportedModelError
from attnmass.models.out_of_memory import is_out_of_memory

RETRY_SECONDS = 1
_SHARD_SECONDS = 5  # until another process has the shard's model


class HttpError(Exception):
    """An answer with a status other than 200.

    Attributes:
        status: The HTTP status.
        kind: What went wrong, in one word for programs.
        headers: What is sent besides the body.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})


class BadRequest(HttpError):  # noqa: N818 - HTTP's name for it
    """Input that cannot be right: 400, never 422, at which clients fail in their own ways."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "bad_request", message)


@contextmanager
def bad_requests() -> Iterator[None]:
    """Turn what the API says about its arguments into an error about the request.

    Raises:
        BadRequest: For a `ValueError` or `TypeError`.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise BadRequest(str(error)) from None


class TooLarge(HttpError):  # noqa: N818
    """More than the server was told to take."""

    def __init__(self, message: str) -> None:
        super().__init__(413, "payload_too_large", message)


class TryLater(HttpError):  # noqa: N818
    """The server has no room or is not ready yet; says when to come back."""

    def __init__(
        self, kind: str, message: str, *, status: int = 503, seconds: int = RETRY_SECONDS
    ) -> None:
        super().__init__(status, kind, message, {"Retry-After": str(seconds)})


def body_of(error: HttpError) -> dict[str, Any]:
    """The one body that all errors have: each client finds its message under a different name."""
    message = str(error)
    return {
        "message": message,
        "detail": message,
        "error": message,
        "error_type": error.kind,
    }


def of_model(error: Exception) -> HttpError | None:
    """What a failure of the ranker is reported as; `None` if it is a bug in attnmass.

    Requests have already been checked, so a `TypeError` is one.
    """
    if isinstance(error, HttpError):
        return error
    if isinstance(error, ShardUnavailableError):
        return TryLater("shard_unavailable", str(error), seconds=_SHARD_SECONDS)
    if isinstance(error, ValueError):
        return BadRequest(str(error))
    if isinstance(error, OutOfMemoryError):
        return HttpError(424, "out_of_memory", str(error))
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return HttpError(424, "out_of_memory", "memory ran out on this input: send less at once")
    if isinstance(error, CaptureError):
        return HttpError(424, "capture_failed", str(error))
    if isinstance(error, UnsupportedModelError):
        return HttpError(424, "unsupported_model", str(error))
    if isinstance(error, AttnMassError | RuntimeError):
        return HttpError(424, "model_failed", f"the model failed on this input: {error}")
    return None
