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
    """Runs blocking calls one after the other in one thread, started when first needed.

    The loop's default executor is left to others: calls that wait for a model would fill it up. A
    forked process starts a thread of its own: none but the caller's survives a fork. Copies and
    pickles of a worker are new workers.
    """

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._lock = ForkLock()
        self._executor: ThreadPoolExecutor | None = None
        self._process: int | None = None  # the one whose thread that is

    async def run(
        self, function: Callable[Params, Result], *args: Params.args, **kwargs: Params.kwargs
    ) -> Result:
        """Call `function` in the worker's thread, with the caller's context variables."""
        with self._lock:
            if self._executor is None or self._process != os.getpid():
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="attnmass")
                self._process = os.getpid()
            executor = self._executor
        call = partial(contextvars.copy_context().run, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(executor, call)

    def __eq__(self, other: object) -> bool:
        """Workers hold nothing that would tell them apart."""
        return isinstance(other, Worker)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Worker], tuple[()]]:
        """Threads and locks stay behind."""
        return Worker, ()
