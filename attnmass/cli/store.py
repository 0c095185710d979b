"""`attnmass store`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from attnmass.cli.copies import fill, push_all
from attnmass.cli.errors import InputError, UsageError, api_arguments
from attnmass.cli.models import Debug, ListFormat, write_list


def store(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder that --store names.")
    ],
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all that is kept, then show what is left.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            "--push",
            metavar="URL",
            help="Write all that is kept to a folder of an object store, such as "
            "s3://bucket/folder, except what is already there.",
        ),
    ] = None,
    pull: Annotated[
        str | None,
        typer.Option(
            "--pull",
            metavar="URL",
            help="Fill FOLDER, which is created if it does not exist, with what such a folder has.",
        ),
    ] = None,
    format: ListFormat = None,  # noqa: A002 - the option's name
    debug: Debug = False,
) -> None:
    """What a folder keeps of chunks that were read: how many, of how many tokens and bytes.

    Other processes may use the folder meanwhile. --push and --pull copy it to and from an object
    store, or a folder that machines share, and then show what is here.
    """
    from attnmass.options.urls import check_shared
    from attnmass.store.disk import FILE_NAME, DiskStore
    from attnmass.store.tables import NotOursError
    from attnmass.store.written import read_written

    for name, url in (("--push", push), ("--pull", pull)):
        if url is not None:
            with api_arguments():
                check_shared(url, name=name)
    folder = folder.expanduser()
    if clear + (push is not None) + (pull is not None) > 1:
        raise UsageError("pass one of --clear, --push and --pull")
    if not folder.is_dir() and (pull is None or folder.exists()):
        what = "is not a folder" if folder.exists() else "there is no such folder"
        raise InputError(f"{folder}: {what}", "name what --store names")
    try:
        kept = DiskStore(folder, None)
    except NotOursError as error:
        raise InputError(str(error)) from error
    if clear:
        kept.clear()
    elif push is not None:
        push_all([kept], push, quiet=False)
    elif pull is not None:
        fill(kept, pull)
    found, written = kept.stats(), read_written(kept)
    kept.close()
    if not clear and not found.disk_bytes:
        raise InputError(
            f"{folder}: there is no {FILE_NAME} in it, so nothing has been kept there yet"
        )
    used = None if found.last_used is None else _moment(found.last_used)
    per_token = round(found.value_bytes / found.tokens, 1) if found.tokens else None
    record = {
        "folder": str(folder),
        "chunks": found.entries,
        "tokens": found.tokens,
        "bytes": found.disk_bytes,
        "bytes_per_token": per_token,
        "last_used": used,
        "version": found.version,
        "written": [asdict(one) for one in written],
    }
    row = [
        f"{found.entries:,}",
        f"{found.tokens:,}",
        f"{found.disk_bytes:,}",
        "" if per_token is None else f"{per_token:,}",
        used or "never",
        str(found.version),
        ", ".join(f"{one.model} ({one.layout})" for one in written),
    ]
    columns = [
        "chunks", "tokens", "bytes on disk", "bytes a token", "last used", "version", "written with"
    ]  # fmt: skip
    write_list(format, columns, [row], [record])


def _moment(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):  # from a clock that was far off
        return "unknown"
