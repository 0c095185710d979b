"""One thread with the model, a bounded queue before it, and requests answered together."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from logging import getLogger
from typing import TYPE_CHECKING, Any

from attnmass.serving.errors import TryLater, of_model
from attnmass.serving.work import Work

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker

_logger = getLogger(__name__)

_MOST_KNOWN = 256  # sets of chunks; looking each chunk up takes milliseconds


@dataclass(eq=False)
class Job:
    """Work that waits, and whoever waits for it.

    Attributes:
        work: What is to be done.
        future: Where the result goes, in the event loop that it came from.
        until: When nobody waits any longer, by `time.monotonic`.
        ahead: What is left of the part that is done in slices.
        gone: Whether whoever asked has left.
        context: The context variables of whoever asked.
    """

    work: Work
    future: asyncio.Future[Any]
    until: float
    ahead: Iterator[None] | None = None
    gone: bool = False
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.gone and time.monotonic() < self.until


class ModelWorker:
    """Loads a ranker in its own thread, and gives it the requests that wait.

    Attributes:
        failure: Why the thread ended, if it ended by itself.
        answered: Called after each call, with its number of requests and its seconds.
    """

    def __init__(
        self,
        load: Callable[[], AttentionRanker],
        *,
        queue_size: int,
        batch_requests: int,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        """Start nothing yet.

        Args:
            load: Gives the ranker; called in the thread.
            queue_size: Requests that may wait.
            batch_requests: Requests that one call answers at most.
            on_death: Called in the thread where it ends by itself.
        """
        self._load = load
        self._queue_size = queue_size
        self._batch_requests = batch_requests
        self._on_death = on_death
        self._waiting: deque[Job] = deque()
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._known: dict[Hashable, None] = {}  # chunks that were read recently
        self._ranker: AttentionRanker | None = None
        self._stopping = False
        self._draining = False
        self._thread = threading.Thread(target=self._live, name="attnmass-model", daemon=True)
        self.failure: BaseException | None = None
        self.answered: Callable[[int, float], None] = lambda requests, seconds: None

    @property
    def ranker(self) -> AttentionRanker | None:
        """The ranker, once it is loaded."""
        return self._ranker

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken."""
        try:
            self.check_ready()
        except TryLater:
            return False
        return True

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not ended by itself."""
        return self.failure is None

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended, by itself or because it was told to."""
        return self._thread.is_alive()

    def check_ready(self) -> None:
        """Raise `TryLater` unless requests are taken."""
        if self.failure is not None:
            raise TryLater("not_ready", "the model's thread has ended: the server is going down")
        if self._draining:
            raise TryLater("draining", "the server is going down: ask another one", seconds=5)
        if self._ranker is None:
            raise TryLater("not_ready", "the model is being loaded", seconds=5)

    def start(self) -> None:
        """Start the thread, which loads the model."""
        self._thread.start()

    def drain(self) -> None:
        """Accept nothing new; what waits is answered."""
        self._draining = True

    def stop(self, seconds: float = 5.0) -> None:
        """Tell what waits to come back, and end the thread once the running call is done."""
        self.give_up()
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def give_up(self) -> None:
        """Tell all that waits, and what is running, to come back later."""
        with self._changed:
            jobs = [*self._running, *self._waiting]
            self._waiting.clear()
        for job in jobs:
            _finish(job, TryLater("draining", "the server is going down: ask another one"))

    async def run(self, work: Work, seconds: float) -> Any:
        """Have work done in its turn.

        Raises:
            TryLater: If it is not ready, there is no room, or the time is up.
            HttpError: As from `of_model`.
        """
        self.check_ready()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        job = Job(work, future, time.monotonic() + seconds)
        with self._changed:
            if len(self._waiting) >= self._queue_size:
                raise TryLater(
                    "queue_full", f"{self._queue_size} requests are already waiting", status=429
                )
            self._waiting.append(job)
            self._changed.notify()
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            raise TryLater(
                "timeout", f"the model had no time for this within {seconds:g} seconds"
            ) from None
        finally:
            self._leave(job)

    def _leave(self, job: Job) -> None:
        """Make room for others where one has left before its turn."""
        job.gone = True
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def _live(self) -> None:
        """What the thread does; no error of a request ends it."""
        try:
            self._ranker = self._load()
            _logger.info("the model is loaded: requests are taken")
            while (batch := self._next()) is not None:
                self._step(batch)
                with self._changed:
                    self._running = []
        except BaseException as error:
            # Whatever it is, it is not a request's fault, and nothing would be answered any more.
            self.failure = error
            self.give_up()
            self._on_death()

    def _next(self) -> list[Job] | None:
        """Jobs for one call, waited for; `None` once the thread is to end."""
        with self._changed:
            while True:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return None
                first = self._waiting.popleft()
                if first.is_wanted:
                    break
            batch = [first]
            key = first.work.key
            if key is not None:
                for job in [job for job in self._waiting if job.work.key == key]:
                    if len(batch) == self._batch_requests:
                        break
                    self._waiting.remove(job)
                    if job.is_wanted:
                        batch.append(job)
            self._running = batch
            return batch

    def _step(self, batch: list[Job]) -> None:
        """Advance a batch by one step: read a slice ahead, or answer it."""
        ranker = self._ranker
        if ranker is None:
            raise RuntimeError("no ranker was loaded")
        first = batch[0]
        started = time.perf_counter()
        try:
            if self._reads_ahead(ranker, first):
                with self._changed:  # others have their turn before the next slice
                    self._waiting.extend(batch)
                return
            results = first.context.run(
                first.work.together, ranker, [job.work for job in batch[1:]]
            )
        except Exception as error:
            if len(batch) > 1:  # one of them is to blame, and the others are not
                for job in batch:
                    self._step([job])
                return
            _finish(first, of_model(error) or error)
            return
        finally:
            elapsed = time.perf_counter() - started
        self.answered(len(batch), elapsed)
        for job, result in zip(batch, results, strict=True):
            _finish(job, result)

    def _reads_ahead(self, ranker: AttentionRanker, job: Job) -> bool:
        """Whether a slice was read, so that more may be left."""
        reads = job.work.reads
        if job.ahead is None:
            if reads is not None and reads in self._known:  # asked about a moment ago
                return False
            job.ahead = job.work.ahead(ranker)
        for _ in job.ahead:
            return True
        if reads is not None:
            self._known[reads] = None
            while len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return False


def _finish(job: Job, result: Any) -> None:
    """Hand a result or an error to whoever waits, in its own event loop."""

    def settle() -> None:
        if job.future.done():
            return
        if isinstance(result, BaseException):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)

    try:
        job.future.get_loop().call_soon_threadsafe(settle)
    except RuntimeError:  # the loop is closed: nobody waits
        _logger.debug("a request's event loop was closed before its answer")
