"""Time and memory of ranking, as ratios in one run over the same chunks.

python -m benchmarks.cost DATA_FOLDER [--repeats N]
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnmass import AttentionRanker
from attnmass.capture.forward import ForwardPass
from benchmarks.baselines import CrossEncoder, SlowICR
from benchmarks.data import query_and_chunks
from benchmarks.measure import (
    growth,
    in_a_process,
    in_an_interpreter,
    interleaved,
    paired,
    rounded,
    store,
)

RESULTS = Path(__file__).parent / "results" / "cost.json"


def main() -> None:
    """Measure and store the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    query, many = query_and_chunks(arguments.data, 200)
    twenty = many[:20]
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    forgetful = AttentionRanker.from_pretrained("smollm2-135m", memory_bytes=0)
    pairs = CrossEncoder()
    empty = partial(forget, ranker)
    seconds = interleaved(
        {
            "cold 20": lambda: ranker.rank(query, twenty),
            "warm 20": lambda: ranker.rank(query, twenty),  # finds what the line above left
            "warm 20, trimmed": lambda: ranker.trim(query, twenty, max_tokens=800),
            "cold 20, nothing kept": lambda: forgetful.rank(query, twenty),
            "cold 20, trimmed": lambda: forgetful.trim(query, twenty, max_tokens=800),
            "cold 20, nothing captured": lambda: without_capture(forgetful, query, twenty),
            "cross-encoder 20": lambda: pairs(query, twenty),
        },
        arguments.repeats,
        before={"cold 20": empty},
    )
    seconds |= interleaved(
        {
            "cold 200": lambda: ranker.rank(query, many),
            "warm 200": lambda: ranker.rank(query, many),
            "cross-encoder 200": lambda: pairs(query, many),
        },
        max(1, arguments.repeats // 2),
        before={"cold 200": empty},
    )
    check(ranker, query, many)
    seconds |= interleaved({"ICR 20": partial(SlowICR(), query, twenty)}, 2)
    memory = {
        "cold 20": in_a_process(peak_of_rank, query, twenty),
        "ICR 20": in_a_process(peak_of_icr, query, twenty),
    }
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {
        "warm rank over cross-encoder, 20 chunks": paired(
            seconds["warm 20"], seconds["cross-encoder 20"]
        ),
        "warm rank over cross-encoder, 200 chunks": paired(
            seconds["warm 200"], seconds["cross-encoder 200"]
        ),
        "cold rank over cross-encoder, 20 chunks": paired(
            seconds["cold 20"], seconds["cross-encoder 20"]
        ),
        "cold rank over cross-encoder, 200 chunks": paired(
            seconds["cold 200"], seconds["cross-encoder 200"]
        ),
        "cold rank over ICR, time": medians["cold 20"] / medians["ICR 20"],
        "cold rank over ICR, peak memory": memory["cold 20"] / memory["ICR 20"],
        "keeping what was read over not keeping it": paired(
            seconds["cold 20"], seconds["cold 20, nothing kept"]
        ),
        "cold rank and trim to 800 tokens over cold rank": paired(
            seconds["cold 20, trimmed"], seconds["cold 20, nothing kept"]
        ),
        "warm rank and trim to 800 tokens over warm rank": paired(
            seconds["warm 20, trimmed"], seconds["warm 20"]
        ),
        "capture over the same passes without it": paired(
            seconds["cold 20, nothing kept"], seconds["cold 20, nothing captured"]
        ),
    }
    about: dict[str, Any] = {
        "tokens_of_20_chunks": sum(c.n_tokens for c in ranker.rank(query, twenty).chunks),
        "tokens_of_200_chunks": sum(c.n_tokens for c in ranker.rank(query, many).chunks),
        "dtype": str(ranker._layout._reader.dtype),  # type: ignore[attr-defined]
        "threads": torch.get_num_threads(),
        "seconds": rounded(seconds),
        "peak_bytes": memory,
        "starts": starts(),
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }
    store(about, arguments.out)


def forget(ranker: AttentionRanker) -> None:
    """Empty a ranker's cache, so that what comes next is cold."""
    ranker._cache.memory.clear()


def check(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> None:
    """Make sure that warm is warm and cold is cold, or no number here means what it says."""
    forget(ranker)
    for expected in (0, len(set(texts))):
        before = ranker.stats
        ranker.rank(query, texts)
        hits = ranker.stats.hits - before.hits
        if hits != expected:
            raise SystemExit(f"{hits} of {len(texts)} chunks were in the cache, not {expected}")


def without_capture(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> None:
    """The same passes, up to the same layer, but without recomputing any row of attention."""
    original = ForwardPass.record

    def nothing(self: ForwardPass, layer: int, q: torch.Tensor, *_: Any, **__: Any) -> None:
        keys = sum(len(part) for part in self.past) + len(self.positions)
        self.recorded[layer] = q.new_zeros(len(self.rows), len(self.heads[layer]), keys).float()

    ForwardPass.record = nothing  # type: ignore[assignment]
    try:
        ranker.rank(query, texts)
    finally:
        ForwardPass.record = original  # type: ignore[method-assign]


def peak_of_rank(query: str, texts: list[str]) -> int:
    """Bytes that ranking takes above the loaded model."""
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    return growth(lambda: ranker.rank(query, texts))[0]


def peak_of_icr(query: str, texts: list[str]) -> int:
    """Bytes that ICR takes above the loaded model."""
    icr = SlowICR()
    return growth(lambda: icr(query, texts))[0]


def starts() -> dict[str, dict[str, Any]]:
    """Seconds to import each adapter, its framework apart, and to load the default model."""
    found = {}
    for adapter, framework in (
        ("llama_index_attn", "llama_index.core"),
        ("langchain_attn", "langchain_core.prompts, langchain_core.vectorstores"),
    ):
        found[adapter] = in_an_interpreter(
            "import json, sys, time\n"
            f"started = time.perf_counter()\nimport {framework}\n"
            f"between = time.perf_counter()\nimport {adapter}\n"
            "done = time.perf_counter()\n"
            "print(json.dumps({'framework': between - started, 'adapter': done - between,"
            " 'torch_is_imported': 'torch' in sys.modules}))"
        )
    found["default model"] = in_an_interpreter(
        "import json, time\nfrom attnmass import AttentionRanker\n"
        "started = time.perf_counter()\nAttentionRanker.from_pretrained('smollm2-135m')\n"
        "print(json.dumps({'load': time.perf_counter() - started}))"
    )
    return found


def table(results: dict[str, Any]) -> str:
    """Ratios, and the seconds behind them."""
    lines = ["| ratio | measured |", "|---|---|"]
    lines += [f"| {name} | {ratio:.2f} |" for name, ratio in results["ratios"].items()]
    medians = {name: sorted(times)[len(times) // 2] for name, times in results["seconds"].items()}
    spelled = ", ".join(f"{name}: {seconds:.2f} s" for name, seconds in medians.items())
    peaks = {name: found / 2**20 for name, found in results["peak_bytes"].items()}
    starts = results["starts"]
    imports = ", ".join(
        f"{name}: {found['adapter']:.2f} s after {found['framework']:.2f} s for its framework"
        f"{', torch included' if found['torch_is_imported'] else ', without torch'}"
        for name, found in starts.items()
        if "adapter" in found
    )
    lines += [
        "",
        f"Medians: {spelled}. The 20 chunks have {results['tokens_of_20_chunks']:,} tokens, the "
        f"200 {results['tokens_of_200_chunks']:,}; {results['dtype'].removeprefix('torch.')}, "
        f"{results['threads']} threads. Peak memory above the loaded model: cold rank "
        f"{peaks['cold 20']:,.0f} MiB, ICR {peaks['ICR 20']:,.0f} MiB. Loading the default model "
        f"takes {starts['default model']['load']:.2f} s; importing {imports}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
