"""How time and memory are measured: in turns, in pairs, and in separate processes."""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    before: Mapping[str, Callable[[], object]] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns so that a slow moment hits all of them; one warm-up.

    Args:
        calls: What is measured.
        repeats: How often.
        before: What is done before a call of that name, without being measured.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            if before is not None and name in before:
                before[name]()
            started = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def paired(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of consecutive runs."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """How cost grows with size: the slope of a line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def in_a_process(measure: Callable[..., Result], *arguments: object) -> Result:
    """Run a measurement in a separate process, whose memory it does not share."""
    pool = multiprocessing.get_context("spawn").Pool(1)
    try:
        return pool.apply(measure, arguments)
    finally:
        pool.close()  # not terminated, so that it tidies up after itself
        pool.join()


def in_an_interpreter(code: str) -> dict[str, Any]:
    """The JSON that a program prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def growth(call: Callable[[], object]) -> tuple[int, int]:
    """By how many bytes a call raises the process's memory, at its peak and when it is over.

    The kernel's high-water mark still includes loading, so it is reset first.
    """
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident()
    call()
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak * 1024 - before, _resident() - before


def store(results: dict[str, Any], path: Path) -> None:
    """Write raw results, and print the ratios."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results["ratios"], indent=1))


def rounded(values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Seconds rounded as they are stored."""
    return {name: [round(value, 4) for value in listed] for name, listed in values.items()}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
