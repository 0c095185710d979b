"""Who is let in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from attnmass.serving.errors import HttpError


class Keys:
    """Keys, one of which each request has to bring; without any, everyone is let in."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        """Remember what keys are compared by."""
        self._digests = tuple(map(_digest, keys))

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in, by `Authorization: Bearer KEY`, by `KEY` alone, or by `X-API-Key`.

        Raises:
            HttpError: If it has none of the keys.
        """
        if not self._digests:
            return
        said = headers.get("authorization", "").strip() or headers.get("x-api-key", "").strip()
        scheme, _, rest = said.partition(" ")
        given = _digest((rest.strip() if scheme.lower() == "bearer" else said).encode("utf-8"))
        # All of them, so that the time taken reveals neither which one is close nor how many come
        # before it; digests, so that it does not reveal a key's length.
        found = [hmac.compare_digest(given, each) for each in self._digests]
        if not any(found):
            raise HttpError(
                401,
                "unauthorized",
                "no valid API key: send Authorization: Bearer KEY",
                {"WWW-Authenticate": "Bearer"},
            )


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
