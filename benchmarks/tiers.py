"""The quality and cost of each model with a shipped profile: the table of `attnmass models`.

python -m benchmarks.tiers DATA_FOLDER [--models NAME ...]

Quality is that of `benchmarks.late` and `benchmarks.models`, on queries that selected nothing.
Times are for one thread, in seconds of a core: what the process was given, so that others on the
machine do not count. Indexing is timed on some chunks; for many warm chunks, the vectors are
random, as in `benchmarks.late_cost`. Models whose weights are not on this machine stay as they
were.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnmass import AttentionRanker
from attnmass.errors import WeightsNotFoundError
from attnmass.layouts import keeps_vectors
from attnmass.loading.sources import ALIASES
from attnmass.models.sizes import full_depth
from attnmass.profiles import packaged_profiles
from benchmarks.data import SETS, query_and_chunks
from benchmarks.heads import config_of
from benchmarks.late import bytes_a_token
from benchmarks.late_cost import fill
from benchmarks.late_ranker import results_of
from benchmarks.measure import in_a_process

RESULTS = Path(__file__).parent / "results" / "tiers.json"
SHIPPED = Path(__file__).parents[1] / "attnmass" / "loading" / "tiers.json"
MODELS = ("smollm2-135m", "gemma-3-270m", "qwen2.5-coder-1.5b")
READ = 40  # chunks that indexing is timed on
SIZES = (20, 200, 2000)  # warm chunks
REPEATS = 5


def main() -> None:
    """Measure what is here, and write raw results and the table that ships."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    arguments = parser.parse_args()
    known: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    for name in arguments.models:
        try:
            known[name] = in_a_process(measured, name, arguments.data)
        except WeightsNotFoundError as error:
            print(f"left as it was: {error}")
            continue
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    shipped = rows(known)
    SHIPPED.write_text(json.dumps(shipped, indent=1) + "\n", encoding="utf-8")
    print(table(shipped))


def report(known: dict[str, Any]) -> str:
    """The table from raw results and from what each model ranked."""
    return table(rows(known)) + "\n"


def rows(known: dict[str, Any]) -> dict[str, Any]:
    """What ships, from raw results."""
    return {name: tier(found, ranked(name)) for name, found in known.items()}


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Times and sizes of one model, in a separate process."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    query, chunks = query_and_chunks(folder, max(SIZES))
    late = f"{name}.late" in packaged_profiles()
    ranker = AttentionRanker.from_pretrained(
        name, layout="late" if late else None, memory_bytes=None
    )
    ranker.warm(chunks[-2:])
    index_seconds = seconds_of(lambda: ranker.warm(chunks[:READ]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    vectors = keeps_vectors(ranker.profile.layout)
    if vectors:
        fill(ranker, chunks[READ:])
    warm = {}
    for size in SIZES if vectors else SIZES[:1]:
        ranker.rank(query, chunks[:size])
        call = partial(ranker.rank, query, chunks[:size])
        warm[str(size)] = [round(seconds_of(call), 4) for _ in range(REPEATS)]
    n_tokens = sum(chunk.n_tokens for chunk in ranker.rank(query, chunks[:READ]).chunks)
    config = config_of(ranker)
    return {
        "layout": ranker.profile.layout,
        "layers_read": ranker.profile.last_layer + 1,
        "layers": full_depth(config),
        "chunks_read": READ,
        "tokens_read": n_tokens,
        "index_seconds": round(index_seconds, 2),
        "warm_seconds": warm,
        "bytes_a_token": bytes_a_token(ranker) if vectors else None,
        "memory_bytes": peak,
    }


def seconds_of(call: Callable[[], object]) -> float:
    """Seconds of a core that a call takes."""
    started = time.process_time()
    call()
    return time.process_time() - started


def ranked(name: str) -> dict[str, dict[str, list[float]]]:
    """nDCG@10 of each query that was measured, by layout and set."""
    results = Path(__file__).parent / "results"
    found: dict[str, dict[str, list[float]]] = {}
    rows = json.loads((results / "models.json").read_text("utf-8")).get(name, {}).get("rows", [])
    if rows:
        found["parallel"] = by_set(rows)
    late = results_of(name, results / "late.json")
    if late.is_file():
        found["late"] = by_set(json.loads(late.read_text("utf-8"))["rows"])
    return found


def by_set(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """The values of each set, in the order of its queries."""
    return {each: [row["ndcg@10"] for row in rows if row["set"] == each] for each in SETS}


def tier(found: dict[str, Any], quality: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """One model's row."""
    values = quality.get(found["layout"], {})
    return {
        "layout": found["layout"],
        "layers_read": found["layers_read"],
        "layers": found["layers"],
        "ndcg@10": {
            each: {"mean": round(statistics.mean(some), 3), "queries": len(some)}
            for each, some in values.items()
            if some
        },
        "index_1000_seconds": round(1000 * found["index_seconds"] / found["chunks_read"]),
        "warm_milliseconds": {
            size: round(1000 * statistics.median(some))
            for size, some in found["warm_seconds"].items()
        },
        "bytes_a_token": found["bytes_a_token"],
        "memory_bytes": found["memory_bytes"],
    }


def table(shipped: dict[str, Any]) -> str:
    """The table of `docs/how-to/choose_a_model.md`."""
    lines = [
        "| model | licence | weights | layers | nq | hotpotqa | musique | s to index 1,000 | "
        "ms a query, 20 | 200 | 2,000 | bytes a token | memory |",
        f"|---|---|---|---|{'---|' * 9}",
    ]
    for name, found in shipped.items():
        alias = ALIASES[name]
        scores = [found["ndcg@10"].get(each) for each in ("nq", "hotpotqa_paragraphs", "musique")]
        warm = [found["warm_milliseconds"].get(str(each)) for each in SIZES]
        cells = [
            f"`{name}`, {found['layout']}",
            alias.licence,
            f"`{alias.install}`",
            f"{found['layers_read']} of {found['layers']}",
            *("" if one is None else f"{one['mean']:.3f}" for one in scores),
            f"{found['index_1000_seconds']:,}",
            *("" if one is None else f"{one:,}" for one in warm),
            "" if found["bytes_a_token"] is None else f"{found['bytes_a_token']:.0f}",
            f"{found['memory_bytes'] / 2**30:.1f} GiB",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
