"""A thread of its own for calls that block, so that an event loop goes on."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from attnmass.engine.forking import ForkLock

Params = ParamSpec("Params")
Result = TypeVar("Result")


class Worker:
    """Runs blocking calls in threads of its own, started when first needed.

    In one, as a rule: a model is used by one at a time. The loop's default executor is left to
    others: calls that wait for a model would fill it up. A forked process starts threads of its
    own: none but the caller's survives a fork. Copies and pickles of a worker are new workers.

    Attributes:
        threads: How many calls may be under way together; what is set counts from the next one on.
    """

    def __init__(self, threads: int = 1) -> None:
        """Nothing is started yet."""
        self.threads = threads
        self._lock = ForkLock()
        self._executor: ThreadPoolExecutor | None = None
        self._here: tuple[int, int] | None = None  # the process, and how many threads it has

    async def run(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Call `function` in a thread of the worker's, with the caller's context variables."""
        with self._lock:
            here = (os.getpid(), self.threads)
            if self._executor is None or self._here != here:
                self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="attnmass")
                self._here = here
            executor = self._executor
        call = partial(contextvars.copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(executor, call)

    def __eq__(self, other: object) -> bool:
        """Workers hold nothing that would tell them apart."""
        return isinstance(other, Worker)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Worker], tuple[int]]:
        """Threads and locks stay behind."""
        return Worker, (self.threads,)
