"""Time and memory of ranking, as ratios in one run over the same chunks.

python -m benchmarks.cost DATA_FOLDER [--repeats N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from attnmass import AttentionRanker
from attnmass.capture.forward import ForwardPass
from benchmarks.baselines import SlowICR, minilm_path
from benchmarks.data import Labelled, read_set

RESULTS = Path(__file__).parent / "results" / "cost.json"


def main() -> None:
    """Measure and store the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    query, many = twenty_and_two_hundred(arguments.data)
    twenty = many[:20]
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    pairs = CrossEncoder()
    seconds = interleaved(
        {
            "rank 20": lambda: ranker.rank(query, twenty),
            "rank 20 without capture": lambda: without_capture(ranker, query, twenty),
            "cross-encoder 20": lambda: pairs(query, twenty),
            "rank 200": lambda: ranker.rank(query, many),
        },
        arguments.repeats,
    )
    seconds |= interleaved({"ICR 20": partial(SlowICR(), query, twenty)}, 2)
    memory = {
        "rank 20": in_a_process(peak_of_rank, query, twenty),
        "ICR 20": in_a_process(peak_of_icr, query, twenty),
    }
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {
        "capture over the same passes without it": paired(
            seconds["rank 20"], seconds["rank 20 without capture"]
        ),
        "rank over cross-encoder": paired(seconds["rank 20"], seconds["cross-encoder 20"]),
        "rank over ICR, time": medians["rank 20"] / medians["ICR 20"],
        "rank over ICR, peak memory": memory["rank 20"] / memory["ICR 20"],
        "200 chunks over 20": paired(seconds["rank 200"], seconds["rank 20"]),
    }
    about = {
        "tokens_of_20_chunks": sum(c.n_tokens for c in ranker.rank(query, twenty).chunks),
        "tokens_of_200_chunks": sum(c.n_tokens for c in ranker.rank(query, many).chunks),
        "dtype": str(ranker._layout._reader.dtype),  # type: ignore[attr-defined]
        "threads": torch.get_num_threads(),
        "seconds": {name: [round(t, 4) for t in times] for name, times in seconds.items()},
        "peak_bytes": memory,
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(about, indent=1) + "\n")
    print(json.dumps(about["ratios"], indent=1))


def twenty_and_two_hundred(folder: Path) -> tuple[str, list[str]]:
    """A query and 200 chunks of 300 to 900 characters, as retrievers give them."""
    queries: Sequence[Labelled] = read_set(folder, "nq")
    texts = dict.fromkeys(text for query in queries for text in query.texts)
    return queries[0].query, [text for text in texts if 300 <= len(text) <= 900][:200]


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns so that a slow moment hits all of them; one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def paired(above: Sequence[float], below: Sequence[float]) -> float:
    """Median of the ratios of runs that followed each other."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def without_capture(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> None:
    """The same passes, up to the same layer, but no row of attention is recomputed."""
    original = ForwardPass.record

    def nothing(self: ForwardPass, layer: int, q: torch.Tensor, *_: Any, **__: Any) -> None:
        keys = sum(len(part) for part in self.past) + len(self.positions)
        self.recorded[layer] = q.new_zeros(len(self.rows), len(self.heads[layer]), keys).float()

    ForwardPass.record = nothing  # type: ignore[assignment]
    try:
        ranker.rank(query, texts)
    finally:
        ForwardPass.record = original  # type: ignore[method-assign]


class CrossEncoder:
    """A cross-encoder of MiniLM-L6's size with random weights: what it costs, not what it finds."""

    def __init__(self) -> None:
        config = BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
        )
        self._model = BertForSequenceClassification(config).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(minilm_path())

    @torch.inference_mode()
    def __call__(self, query: str, texts: Sequence[str]) -> torch.Tensor:
        """Logits of all pairs, in batches of 32 as sentence-transformers has them, `[pair, 2]`."""
        logits = []
        for start in range(0, len(texts), 32):
            part = list(texts[start : start + 32])
            batch = self._tokenizer(
                [query] * len(part), part, padding=True, truncation=True, return_tensors="pt"
            )
            logits.append(self._model(**batch).logits)
        return torch.cat(logits)


def in_a_process(measure: Callable[..., int], *arguments: object) -> int:
    """Run a measurement in a process of its own, whose memory is nobody else's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def peak_of_rank(query: str, texts: list[str]) -> int:
    """Bytes that ranking takes above the loaded model."""
    ranker = AttentionRanker.from_pretrained("smollm2-135m")
    return _growth(lambda: ranker.rank(query, texts))


def peak_of_icr(query: str, texts: list[str]) -> int:
    """Bytes that ICR takes above the loaded model."""
    icr = SlowICR()
    return _growth(lambda: icr(query, texts))


def _growth(call: Callable[[], object]) -> int:
    """How far a call raises the process's memory above what it holds before it.

    The kernel's high-water mark still has the loading in it, so it is reset first.
    """
    Path("/proc/self/clear_refs").write_text("5")
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    call()
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peak * 1024 - before


if __name__ == "__main__":
    main()
