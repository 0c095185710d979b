"""Stores that are copied to and from files of an object store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from attnmass.cli.errors import CliError, ExitCode, UsageError, api_arguments
from attnmass.cli.notes import note
from attnmass.cli.units import size
from attnmass.options.urls import check_shared, is_objects

if TYPE_CHECKING:
    from attnmass.store.copying import Copied
    from attnmass.store.disk import DiskStore
    from attnmass.store.objects import ObjectStore


def push_all(folders: Iterable[DiskStore], url: str, *, quiet: bool) -> None:
    """Write what folders have to an object store, and say how much it was.

    Raises:
        UsageError: If the address is none, or a package for it is missing.
        CliError: If it cannot be written.
    """
    from attnmass.store.copying import push

    with closing(_opened(url)) as objects:
        for folder in folders:
            copied = _done(lambda: push(folder, objects), url)  # noqa: B023 - called at once
            note(f"{url} has {_told(copied)}", quiet=quiet)


def fill(folder: DiskStore, url: str) -> None:
    """Fill a folder with what an object store has, and say how much it was.

    Raises:
        UsageError, CliError: As `push_all`.
    """
    from attnmass.store.copying import pull

    with closing(_opened(url)) as objects:
        copied = _done(lambda: pull(objects, folder), url)
    note(f"{folder.folder} has {_told(copied)}", quiet=False)


def _opened(url: str) -> ObjectStore:
    from attnmass.store.copying import PATIENCE
    from attnmass.store.objects import ObjectStore

    with api_arguments():
        check_shared(url)
    if not is_objects(url):
        raise UsageError(f"{url} is not a folder in an object store", "such as s3://bucket/folder")
    try:
        return ObjectStore(url, PATIENCE)
    except (ImportError, ValueError) as error:
        raise UsageError(str(error)) from error


def _done(copy: Callable[[], Copied], url: str) -> Copied:
    try:
        return copy()
    except OSError as error:
        raise CliError(
            f"not all could be copied, {url}: {error}",
            ExitCode.FAILED,
            "the same command continues from there",
        ) from error


def _told(copied: Copied) -> str:
    already = f"; {copied.there:,} were there" if copied.there else ""
    return f"{copied.values:,} chunks more, {size(copied.bytes)}{already}"
