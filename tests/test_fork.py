"""A process that is forked, as gunicorn's preload does, goes on as its parent did."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from attnmass import AttentionRanker
from tests.contract.adapters import Adapter, Candidate, LangChainAdapter, LlamaIndexAdapter
from tests.tiny import tiny_model, tiny_tokenizer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# Runs `child` in a forked process, and ends it where it does not end by itself.
FORK = """
import asyncio, os, signal, sys, threading, time, warnings

warnings.simplefilter("ignore", DeprecationWarning)  # that threads do not survive a fork

def forked(child):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        try:
            child()
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"the forked process ended with {status}")
"""


def run(script: str) -> str:
    """What a script prints that forks."""
    done = subprocess.run(
        [sys.executable, "-c", FORK + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_worker_has_a_thread_in_each_process() -> None:
    """An async call returns in a forked process, too, and in the parent after that."""
    out = run(
        """
        from attnmass.engine.worker import Worker

        worker = Worker()
        call = lambda: print(asyncio.run(worker.run(sum, [1, 2])), flush=True)
        call()
        forked(call)
        forked(lambda: forked(call))
        call()
        """
    )
    assert out.split() == ["3"] * 4


def test_a_lock_of_another_thread_is_free_in_a_forked_process() -> None:
    """A lock that a thread of the parent holds stops no forked process; one's own stays held."""
    out = run(
        """
        from attnmass.engine.forking import ForkLock

        lock, mine = ForkLock(), ForkLock()
        held, over = threading.Event(), threading.Event()

        def hold():
            with lock:
                held.set()
                over.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(60)

        def child():
            with lock:
                print("taken", mine.locked(), flush=True)

        with mine:
            forked(child)
        print(lock.locked(), mine.locked(), flush=True)
        over.set()
        thread.join()
        """
    )
    assert out.split() == ["taken", "True", "True", "False"]


@pytest.mark.parametrize("make", [LlamaIndexAdapter, LangChainAdapter])
def test_rankers_and_adapters_go_on(make: Callable[[], Adapter]) -> None:
    """Rankings, adapters and copies of them return in a forked process what they did before.

    Another thread of the parent ranks all the while.
    """
    adapter = make()
    ranker = AttentionRanker(tiny_model(), tiny_tokenizer(), heads=[(1, 0)])
    texts = ["a cat sat", "Trains run."]
    found = adapter.build([Candidate(text) for text in texts])
    rerank = adapter.Rerank.from_ranker(ranker)

    async def ask() -> list[Any]:
        scores = (await ranker.arank("who?", texts)).scores
        again = [await adapter.arun(one, found, "who?") for one in (rerank, rerank.model_copy())]
        return [scores, *([each.text for each in adapter.read(ranked)] for ranked in again)]

    expected = asyncio.run(ask())
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            ranker.rank("who?", texts)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(3):
            assert exit_code(lambda: asyncio.run(ask()) == expected) == 0
    finally:
        over.set()
        thread.join()


def exit_code(child: Callable[[], bool]) -> int:
    """How a forked process ends that lives for one call: 0 if that is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that threads do not survive
        pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # an end for what never returns
        code = 2
        try:
            code = 0 if child() else 1
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]
