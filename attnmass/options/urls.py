"""A model that is a server's: which names are URLs."""

from __future__ import annotations

from urllib.parse import urlsplit

_SCHEMES = ("http://", "https://")


def is_url(name: object) -> bool:
    """Whether a model's name is the address of a server."""
    return isinstance(name, str) and name.lower().startswith(_SCHEMES)


def check_url(url: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        ValueError: If it is none, or has more in it than host, port and path.
    """
    told = "pass one such as 'http://127.0.0.1:8080'"
    if not is_url(url):
        raise ValueError(f"{url!r} is no URL of http or https: {told}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}; {told}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password in it ends up in logs: pass api_key")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} must be scheme, host, port and path, and no more: {told}")
    return url.rstrip("/")
