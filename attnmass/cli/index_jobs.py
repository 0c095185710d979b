"""Chunks in batches on their way into a store, read in this process or by several."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NamedTuple

from attnmass.cli import session
from attnmass.cli.errors import CliError, ExitCode, api_arguments, told
from attnmass.cli.items import Item
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.notes import hush_libraries, say_warnings
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from typing_extensions import Self

    from attnmass.ranker import AttentionRanker

_FIRST = 8  # chunks of the first batch
_MOST = 512  # of any
_SECONDS = 2.0  # that a batch should take: often enough for a progress bar
_CHARACTERS = 2_000_000  # with which a batch is full
_GRACE = 10.0  # seconds in which a worker that has nothing left to do should have ended


@dataclass(frozen=True, slots=True)
class Done:
    """What became of some chunks.

    Attributes:
        chunks: How many they were.
        characters: How long they were together.
        read: How many the model read.
        skipped: How many were in the store.
        unreadable: How many have nothing to read.
        evicted: How many entries had to leave the store, or were too large for it.
        tokens: That the model read.
        characters_read: Of chunks that were read, about.
        seconds: That it took, summed over processes.
        trouble: Why the store could not be used.
    """

    chunks: int = 0
    characters: int = 0
    read: int = 0
    skipped: int = 0
    unreadable: int = 0
    evicted: int = 0
    tokens: int = 0
    characters_read: int = 0
    seconds: float = 0.0
    trouble: str | None = None

    def __add__(self, other: Done) -> Done:
        """Both together."""
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(Done)
            if field.name != "trouble"
        }
        return Done(**sums, trouble=other.trouble or self.trouble)


class Batches:
    """Chunks in batches, which become as large as takes a few seconds."""

    def __init__(self, items: Iterator[Item]) -> None:
        """Start small.

        Args:
            items: Read as batches are asked for.
        """
        self._items = items
        self._size = _FIRST

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> list[Chunk]:
        """The next batch."""
        batch: list[Chunk] = []
        characters = 0
        for item in islice(self._items, self._size):
            batch.append(item.chunk)
            characters += len(item.chunk.text)
            if characters >= _CHARACTERS:
                break
        if not batch:
            raise StopIteration
        return batch

    def adapt(self, done: Done) -> None:
        """Let the next batches take as long as they should, as one took so long."""
        wanted = round(done.chunks * _SECONDS / max(done.seconds, 1e-3))
        self._size = min(max(wanted, _FIRST), 2 * self._size, _MOST)


def read_here(ranker: AttentionRanker, batches: Iterable[list[Chunk]]) -> Iterator[Done]:
    """Read batch after batch into the ranker's store."""
    for batch in batches:
        yield read_batch(ranker, batch)


def read_batch(ranker: AttentionRanker, batch: list[Chunk]) -> Done:
    """Read some chunks, unless they are in the ranker's store."""
    started, tokens = time.perf_counter(), ranker.stats.tokens_encoded
    with api_arguments():  # such as an encoder, which reads nothing ahead
        result = ranker.warm(batch, progress=False)
    stats = ranker.stats
    characters = sum(len(chunk.text) + len(chunk.title or "") for chunk in batch)
    return Done(
        chunks=len(batch),
        characters=characters,
        read=result.read,
        skipped=result.skipped,
        unreadable=result.unreadable,
        evicted=result.evicted,
        tokens=stats.tokens_encoded - tokens,
        characters_read=round(characters * result.read / len(batch)),
        seconds=time.perf_counter() - started,
        trouble=stats.folder_trouble,
    )


class _Ready(NamedTuple):
    """A worker has its model.

    Attributes:
        layout: In which it reads.
    """

    layout: str


class _Failed(NamedTuple):
    """A worker could not go on, as `told` says it."""

    message: str
    code: ExitCode
    hint: str | None


@dataclass(slots=True)
class Worker:
    """One process that reads.

    Attributes:
        number: Counted from 1.
        process: The process.
        connection: To it; gets a batch, or `None` at the end, for each message that it sends.
    """

    number: int
    process: SpawnProcess
    connection: Connection

    def recv(self) -> _Ready | Done:
        """What it says.

        Raises:
            CliError: If it failed, or died.
        """
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if isinstance(said, _Failed):
            raise CliError(*said)
        if not isinstance(said, _Ready | Done):
            raise TypeError(f"worker {self.number} said {said!r}")
        return said

    def send(self, batch: list[Chunk] | None) -> None:
        """Give it something to read, or nothing any more.

        Raises:
            CliError: If it died.
        """
        try:
            self.connection.send(batch)
        except OSError:
            raise self._died() from None

    def _died(self) -> CliError:
        self.process.join(_GRACE)
        code = self.process.exitcode
        how = f"ended with code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"was killed by {signal.Signals(-code).name}"
        return CliError(
            f"worker {self.number} (process {self.process.pid}) {how}",
            ExitCode.FAILED,
            "if memory ran out, pass a smaller --jobs",
        )


@dataclass(slots=True)
class Team:
    """The workers of one run; the first has its model already.

    Attributes:
        members: All of them.
        layout: In which they read.
    """

    members: list[Worker]
    layout: str


@contextmanager
def workers(model: ModelOptions, cache: CacheGroup, jobs: int, *, quiet: bool) -> Iterator[Team]:
    """Processes that read, each with its own model; they are gone at the end.

    The first loads its model before others begin: what is wrong with it is told once, and weights
    that have to be converted are converted once.

    Raises:
        CliError: If the model cannot be loaded.
    """
    members: list[Worker] = []
    try:
        members.append(_start(1, model, cache, jobs, quiet))
        ready = members[0].recv()
        if not isinstance(ready, _Ready):
            raise TypeError(f"worker 1 said {ready!r} before it was ready")
        members += [_start(number, model, cache, jobs, True) for number in range(2, jobs + 1)]
        yield Team(members, ready.layout)
        for worker in members:
            worker.process.join(_GRACE)
    finally:
        for worker in members:
            worker.connection.close()
            worker.process.terminate()  # a store is whole whenever who writes it is killed
        for worker in members:
            worker.process.join()


def read_by_workers(team: Team, batches: Iterator[list[Chunk]]) -> Iterator[Done]:
    """Read batches, each by the worker that has none, into the one store.

    Raises:
        CliError: If a worker failed or died.
    """
    busy: dict[Connection, Worker] = {}

    def give(worker: Worker) -> None:
        batch = next(batches, None)
        worker.send(batch)
        if batch is not None:
            busy[worker.connection] = worker

    first, *others = team.members
    busy.update({worker.connection: worker for worker in others})  # until they are ready
    give(first)
    while busy:
        for connection in wait(list(busy)):
            if not isinstance(connection, Connection):
                raise TypeError(f"waited for {connection!r}")
            worker = busy.pop(connection)
            said = worker.recv()
            give(worker)
            if isinstance(said, Done):
                yield said


def _start(number: int, model: ModelOptions, cache: CacheGroup, jobs: int, quiet: bool) -> Worker:
    context = multiprocessing.get_context("spawn")  # a fork would share locks and threads of torch
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work,
        args=(theirs, model, cache, jobs, quiet),
        name=f"attnmass index, worker {number}",
        daemon=True,
    )
    with _no_interrupts():
        process.start()
    theirs.close()  # so that the end of the process is the end of what it says
    return Worker(number, process, ours)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Start what Ctrl-C, which goes to all processes of a terminal, does not reach: we end it."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(
    connection: Connection, model: ModelOptions, cache: CacheGroup, jobs: int, quiet: bool
) -> None:
    """What a worker does: load the model, read what it is given, say what became of it."""
    hush_libraries(quiet=True)
    say_warnings(quiet=quiet)
    try:
        import torch

        torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
        ranker = session.load_ranker(model, cache, quiet=True)
        connection.send(_Ready(ranker.profile.layout))
        while (batch := connection.recv()) is not None:
            connection.send(read_batch(ranker, batch))
    except (EOFError, BrokenPipeError):  # nobody is there any more
        pass
    except Exception as error:
        warnings.simplefilter("ignore")
        with contextlib.suppress(OSError):
            connection.send(_Failed(*told(error)))
