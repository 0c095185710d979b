"""Addresses of servers: which names are URLs, and what may be in them."""

from __future__ import annotations

from urllib.parse import urlsplit

_SCHEMES = ("http://", "https://")
_REDIS = ("redis", "rediss", "unix")
# Of those that fsspec knows: what is a folder of files that can be read in parts, and written.
_OBJECTS = (
    "file", "memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "hdfs", "webhdfs",
    "sftp", "smb",
)  # fmt: skip

# What is behind each scheme of `shared_store`: the name of a class with the methods of
# `attnmass.store.tiers.Shared`, which is imported when a URL of its own is named.
SHARED_STORES = {
    **dict.fromkeys(_REDIS, "attnmass.store.shared:SharedStore"),
    **dict.fromkeys(_OBJECTS, "attnmass.store.objects:ObjectStore"),
}

REDIS_PASSWORD = "ATTNMASS_REDIS_PASSWORD"


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
        raise ValueError(f"{url!r} is not an http or https URL: {told}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}; {told}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password in it ends up in logs: pass api_key")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} must be scheme, host, port and path, and no more: {told}")
    return url.rstrip("/")


def is_objects(url: str) -> bool:
    """Whether a shared store is a folder of files that fsspec reaches."""
    return urlsplit(url).scheme in _OBJECTS


def check_shared(url: str, *, name: str = "shared_store") -> None:
    """Raise `ValueError` for what is no address of a shared store, or has a password in it.

    Args:
        url: What was passed.
        name: For which option.
    """
    told = "pass one such as 'redis://127.0.0.1:6379/0', 's3://bucket/folder' or 'file:///folder'"
    said = f"{name} {url!r}" if name.startswith("-") else f"{name}={url!r}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{name} is not a URL: {error}; {told}") from None
    if parts.password is not None or "password" in parts.query.lower():
        raise ValueError(
            f"a URL with a password in it ends up in logs: set {REDIS_PASSWORD} instead, and what "
            "gives access to an object store where its package looks for it"
        )
    if parts.scheme in _OBJECTS:
        if not url.startswith(f"{parts.scheme}://") or not (parts.netloc + parts.path).strip("/"):
            raise ValueError(f"{said} names no folder: {told}")
        if "::" in url or parts.query or parts.fragment:
            raise ValueError(f"{said} must be a folder's address and no more: {told}")
        return
    others = [scheme for scheme in SHARED_STORES if scheme not in (*_REDIS, *_OBJECTS)]
    if parts.scheme in others:
        return
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in SHARED_STORES or not place or port == 0:
        known = ", ".join(["a Redis", *others])
        raise ValueError(f"{said} is not the URL of {known} or of an object store: {told}")
