"""Processes that read chunks into one store, each with a model of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NamedTuple

from attnmass.cli import session
from attnmass.cli.errors import CliError, ExitCode, told
from attnmass.cli.index_jobs import Done, read_batch
from attnmass.cli.model_options import CacheGroup, ModelOptions
from attnmass.cli.notes import hush_libraries, say_warnings
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_GRACE = 10.0  # seconds in which a worker that has nothing left to do should have ended


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
