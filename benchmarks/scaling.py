"""How cost grows with the number of chunks, what bounds cost and save, and how a process starts.

python -m benchmarks.scaling DATA_FOLDER [--largest N] [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnmass import AttentionRanker
from benchmarks.data import query_and_chunks
from benchmarks.measure import exponent, growth, in_a_process, paired, store

RESULTS = Path(__file__).parent / "results" / "scaling.json"

SIZES = (20, 50, 100, 200, 500, 1000, 2000)
BOUNDS = (1, 64 << 20, 256 << 20, 1 << 30)  # bytes; nothing fits into the first


def main() -> None:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="chunks in the largest set")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    query, texts = query_and_chunks(arguments.data, arguments.largest)
    sizes = [size for size in SIZES if size <= len(texts)]
    cold, warm = in_a_process(grow, query, texts, sizes, arguments.repeats)
    bounded = {str(bound): in_a_process(fill, query, texts[:1000], bound) for bound in BOUNDS}
    started = {str(count): start(query, texts[:count], arguments.repeats) for count in (20, 200)}
    ratios = {
        "exponent of the growth, cold": exponent(sizes, medians(cold)),
        "exponent of the growth, warm": exponent(sizes, medians(warm)),
    }
    for count, found in started.items():
        ratios[f"start from a folder over recomputing, {count} chunks"] = paired(
            found["folder"], found["nothing"]
        )
    store(
        {
            "sizes": sizes,
            "seconds": {"cold": rounded_rows(cold), "warm": rounded_rows(warm)},
            "bounds": bounded,
            "starts": started,
            "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        },
        arguments.out,
    )


def rounded_rows(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Seconds rounded as they are stored."""
    return [[round(value, 4) for value in row] for row in rows]


def medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """One median for each row."""
    return [statistics.median(row) for row in rows]


def grow(
    query: str, texts: Sequence[str], sizes: Sequence[int], repeats: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of ranking that many chunks, with nothing or everything kept, `[size][repeat]`."""
    forgetful = AttentionRanker.from_pretrained("smollm2-135m", memory_bytes=0)
    ranker = AttentionRanker.from_pretrained("smollm2-135m", memory_bytes=None)
    forgetful.rank(query, texts[:20])
    cold: list[list[float]] = []
    warm: list[list[float]] = []
    for size in sizes:
        some = texts[:size]
        ranker.warm(some)
        before = ranker.stats.misses
        cold.append([_seconds(forgetful, query, some) for _ in range(repeats)])
        warm.append([_seconds(ranker, query, some) for _ in range(repeats)])
        if ranker.stats.misses != before:
            raise SystemExit(f"{ranker.stats.misses - before} chunks were not in the cache")
    return cold, warm


def fill(query: str, texts: Sequence[str], bound: int) -> dict[str, int]:
    """Bytes that the process grows while all texts are read ahead, and what the cache says."""
    ranker = AttentionRanker.from_pretrained("smollm2-135m", memory_bytes=bound)
    ranker.rank(query, [texts[0]])  # what a first pass allocates is not part of the cache
    peak, after = growth(lambda: ranker.warm(texts))
    return {"peak": peak, "after": after, "counted": ranker.stats.memory_bytes}


def start(query: str, texts: list[str], repeats: int) -> dict[str, list[float]]:
    """Seconds from loading to the first result, in new processes."""
    with tempfile.TemporaryDirectory() as folder:
        in_a_process(first_result, query, texts, folder)  # fills the folder
        found: dict[str, list[float]] = {"folder": [], "nothing": []}
        for _ in range(repeats):
            found["folder"].append(in_a_process(first_result, query, texts, folder))
            found["nothing"].append(in_a_process(first_result, query, texts, None))
    return found


def first_result(query: str, texts: list[str], folder: str | None) -> float:
    """Seconds of loading the model and ranking once."""
    options: dict[str, Any] = {} if folder is None else {"store": folder}
    started = time.perf_counter()
    AttentionRanker.from_pretrained("smollm2-135m", **options).rank(query, texts)
    return time.perf_counter() - started


def _seconds(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    ranker.rank(query, texts)
    return time.perf_counter() - started


def table(scaling: dict[str, Any]) -> str:
    """Growth with the number of chunks, memory against its bound, starts."""
    sizes = scaling["sizes"]
    lines = [
        "How cost grows with the number of chunks, and how the bound on memory relates to what the "
        f"process takes while {min(1000, sizes[-1]):,} chunks are read ahead:",
        "",
        f"| chunks | {' | '.join(f'{size:,}' for size in sizes)} |",
    ]
    lines.append(f"|---{'|---' * len(sizes)}|")
    for name, rows in scaling["seconds"].items():
        cells = " | ".join(f"{statistics.median(row):.2f} s" for row in rows)
        lines.append(f"| {name} | {cells} |")
    ratios = [f"{name}: {ratio:.2f}" for name, ratio in scaling["ratios"].items()]
    lines += ["", f"{'; '.join(ratios)}.", ""]

    lines += [
        "| `memory_bytes` | held | process, at its peak | process, after |",
        "|---|---|---|---|",
    ]
    for bound, found in scaling["bounds"].items():
        cells = " | ".join(_mib(found[name]) for name in ("counted", "peak", "after"))
        lines.append(f"| {_mib(int(bound))} | {cells} |")
    return "\n".join([*lines, ""])


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


if __name__ == "__main__":
    main()
