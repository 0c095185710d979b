"""`attnmass index`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from attnmass.cli import session
from attnmass.cli.arguments import check_cache, model_arguments
from attnmass.cli.copies import push_all
from attnmass.cli.errors import CliError, ExitCode, InputError, UsageError
from attnmass.cli.index_fit import check_unfitted, fitted
from attnmass.cli.index_folders import Folders
from attnmass.cli.index_jobs import Batches, Done, n_characters, read_here
from attnmass.cli.index_options import DEFAULT_LAYOUT, IndexOptions
from attnmass.cli.index_ray import read_by_ray
from attnmass.cli.index_workers import read_by_workers, workers
from attnmass.cli.items import STDIN
from attnmass.cli.model_options import CacheGroup, ModelOptions, StoreGroup
from attnmass.cli.models import write_list
from attnmass.cli.notes import is_watched, note, warn
from attnmass.cli.options import ChunkOptions, Paths
from attnmass.cli.reading import iter_items, stdin_is_terminal
from attnmass.cli.reopening import Reopened
from attnmass.cli.units import duration, size
from attnmass.options.urls import is_objects

_FEW = 64  # chunks for which nobody needs an estimate
_SAMPLE = 16  # chunks after which one is made


def index(
    paths: Paths = None,
    *,
    common: IndexOptions,
    reading: ChunkOptions,
    model: ModelOptions,
    store: StoreGroup,
) -> None:
    """Read chunks into a store ahead of time, so that no question waits for them.

    Files, folders, JSON Lines and stdin become chunks as for `attnmass rank`, which finds them by
    `--store FOLDER` if model, heads and the splitting of texts are the same. The layout is late
    unless --layout or a --profile says otherwise.

    A run that was cut short resumes where it stopped: what is in the store is not read again.

    With the folder of an object store as --shared-store, what is in the store is written there at
    the end, many chunks to a file.
    """
    started = time.perf_counter()
    if store.store is None:
        raise UsageError("no --store", "attnmass index PATHS --store FOLDER")
    check_cache(store)
    model_arguments(model)
    if common.fit:
        check_unfitted(model)
    elif model.layout is None and model.profile is None:
        model = model.changed(layout=DEFAULT_LAYOUT)
    common.check(model)
    kept = Folders.open(store, common.shards)
    with closing(Reopened()) as opened, closing(kept):
        run = _Run(kept, store, common, *_count(paths, reading, opened, quiet=common.quiet))
        if common.fit:
            items = iter_items(paths or ["-"], reading, lambda _: None, opened.open)
            model = fitted(model, items, quiet=common.quiet)
        items = iter_items(paths or ["-"], reading, lambda _: None, opened.open)
        with run.told():
            _read(Batches(items), model, store, common, run)
            if store.shared_store is not None and is_objects(store.shared_store):
                push_all(kept.stores, store.shared_store, quiet=common.quiet)
        run.finish(time.perf_counter() - started)


def _count(
    paths: Sequence[str] | None, reading: ChunkOptions, opened: Reopened, *, quiet: bool
) -> tuple[int, int]:
    """How many chunks there are, and their characters; whatever cannot be read ends it here.

    Raises:
        UsageError: If there is nothing to read, or stdin is named twice.
        InputError: If something is missing, malformed or empty.
    """
    if not paths and stdin_is_terminal():
        raise UsageError("no PATHS", "name files or folders, or pipe chunks in")
    chunks = characters = 0
    for item in iter_items(paths or ["-"], reading, partial(note, quiet=quiet), opened.open):
        chunks += 1
        characters += n_characters(item.chunk)
    if not chunks:
        where = ", ".join(STDIN if path == "-" else path for path in paths or ["-"])
        raise InputError(f"nothing to read in {where}")
    return chunks, characters


def _read(
    batches: Batches, model: ModelOptions, store: StoreGroup, common: IndexOptions, run: _Run
) -> None:
    name = session.model_name(model)
    if common.ray:
        run.begin(name, DEFAULT_LAYOUT)
        done = read_by_ray(model, store, batches, jobs=common.jobs, shards=common.shards)
        run.follow(done, batches)
        return
    cache = CacheGroup(**store.given(), memory_bytes=0)  # what was read is not looked at here
    if common.jobs == 1:
        ranker = session.load_ranker(model, cache, quiet=common.quiet)
        run.begin(name, ranker.profile.layout)
        run.follow(read_here(ranker, batches), batches)
        return
    with workers(model, cache, common.jobs, quiet=common.quiet) as team:
        run.begin(name, team.layout)
        run.follow(read_by_workers(team, batches), batches)


class _Run:
    """What was done so far, and what is said of it."""

    def __init__(
        self,
        kept: Folders,
        store: StoreGroup,
        common: IndexOptions,
        n_chunks: int,
        n_characters: int,
    ) -> None:
        self._kept = kept
        self._folder = str(store.store)
        self._common = common
        self._total = Done(chunks=n_chunks, characters=n_characters)
        self._done = Done()
        self._model = self._layout = ""
        self._is_estimated = n_chunks <= _FEW

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say how far it came where it is cut short."""
        try:
            yield
        except (Exception, KeyboardInterrupt):
            there = self._done.read + self._done.skipped
            if there:
                note(
                    f"at least {there:,} of {self._total.chunks:,} chunks are in {self._folder}: "
                    "the same command continues from there",
                    quiet=self._common.quiet,
                )
            raise

    def begin(self, model: str, layout: str) -> None:
        """Note in the store who writes.

        Raises:
            InputError: If it cannot be written.
        """
        self._model, self._layout = model, layout
        try:
            self._kept.note_written(model, layout)
            self._before = self._kept.size()
        except (OSError, ValueError) as error:
            raise InputError(str(error), "name another --store") from error

    def follow(self, batches_done: Iterator[Done], batches: Batches) -> None:
        """Count what was done, and show it.

        Raises:
            CliError: If the store cannot be written any more.
        """
        from tqdm import tqdm

        shows = is_watched() and not self._common.quiet
        with tqdm(
            total=self._total.chunks,
            desc="Reading chunks",
            unit="chunk",
            leave=False,
            disable=not shows,
        ) as bar:
            for done in batches_done:
                batches.adapt(done)
                if done.trouble is not None:
                    raise CliError(
                        done.trouble, ExitCode.FAILED, "what could be kept is in the store"
                    )
                self._done += done
                bar.update(done.chunks)
                if self._done.seconds:
                    bar.set_postfix_str(f"{self._rate:,.0f} tokens/s")
                if not self._is_estimated and self._done.read >= _SAMPLE:
                    bar.clear()  # or the line would begin behind it
                    self._estimate()

    @property
    def _rate(self) -> float:
        """Tokens a second, all processes together."""
        return self._common.jobs * self._done.tokens / max(self._done.seconds, 1e-9)

    def _estimate(self) -> None:
        self._is_estimated = True
        done, now, before = self._done, self._kept.size(), self._before
        new_tokens, new_bytes = now.tokens - before.tokens, now.value_bytes - before.value_bytes
        if not done.tokens or new_tokens <= 0 or new_bytes <= 0:
            return  # nothing was kept, which is told at the end
        grown = max(new_bytes, now.disk_bytes - before.disk_bytes)  # or pages were free
        per_token = grown / new_tokens
        share = done.tokens / max(done.characters_read, 1)
        left = self._total.characters - done.characters
        needed = round((left * share + done.tokens) * per_token)
        note(
            f"about {duration(left * share / self._rate)} for "
            f"{self._total.chunks - done.chunks:,} chunks, {size(needed)} in the store",
            quiet=self._common.quiet,
        )
        limit = self._kept.limit
        if limit is not None and before.disk_bytes + needed > limit:
            warn(
                f"the store may take up {size(limit)}, which is too little: the chunks that "
                "are read first will be evicted; pass a larger --store-bytes",
                quiet=self._common.quiet,
            )

    def finish(self, seconds: float) -> None:
        """Write the summary."""
        done, now = self._done, self._kept.size()
        per_token = round(now.value_bytes / now.tokens, 1) if now.tokens else None
        if done.evicted:
            warn(
                f"{done.evicted:,} chunks were evicted from the store, or are too large for it: "
                f"{size(self._kept.limit or 0)} is too little; pass a larger --store-bytes",
                quiet=self._common.quiet,
            )
        record: dict[str, Any] = {
            "folder": self._folder,
            "model": self._model,
            "layout": self._layout,
            "chunks": done.chunks,
            "read": done.read,
            "skipped": done.skipped,
            "unreadable": done.unreadable,
            "evicted": done.evicted,
            "tokens_read": done.tokens,
            "seconds": round(seconds, 1),
            "bytes": now.disk_bytes,
            "bytes_per_token": per_token,
        }
        columns = [
            "read", "skipped", "unreadable", "evicted", "tokens read", "seconds", "bytes on disk",
            "bytes a token",
        ]  # fmt: skip
        counts = [done.read, done.skipped, done.unreadable, done.evicted, done.tokens]
        row = [f"{count:,}" for count in counts]
        row += [
            f"{seconds:.1f}",
            f"{now.disk_bytes:,}",
            "" if per_token is None else f"{per_token:,}",
        ]
        write_list(self._common.format, columns, [row], [record])
        sys.stdout.flush()
