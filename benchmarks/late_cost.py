"""What a query over kept key vectors costs, as ratios to a cross-encoder over the same pairs.

python -m benchmarks.late_cost DATA_FOLDER [--repeats N] [--most N]

For the first 200 chunks, the vectors are the model's; beyond that, and for chunks from the store on
disk, they are random numbers of the same shape, since their values do not change the time and
reading them would take hours. A cross-encoder's time for more than 200 chunks is that for 200,
scaled up to their number.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from attnmass import AttentionRanker
from attnmass.masses import quantize
from benchmarks.baselines import CrossEncoder
from benchmarks.data import query_and_chunks
from benchmarks.measure import interleaved, paired, rounded, store

RESULTS = Path(__file__).parent / "results" / "late_cost.json"
MODEL = "smollm2-135m"
READ = 200


def main() -> None:
    """Measure and store seconds and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--most", type=int, default=20_000, help="chunks in the store on disk")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")

    query, known = query_and_chunks(arguments.data, 2000)
    ranker = AttentionRanker.from_pretrained(MODEL, layout="late", memory_bytes=None)
    pairs = CrossEncoder()
    ranker.warm(known[:READ])
    fill(ranker, known[READ:])
    check(ranker, query, known)
    seconds = interleaved(
        {
            "warm 20": lambda: ranker.rank(query, known[:20], top_n=10),
            "cross-encoder 20": lambda: pairs(query, known[:20]),
            "warm 200": lambda: ranker.rank(query, known[:200], top_n=10),
            "warm 2000": lambda: ranker.rank(query, known, top_n=10),
        },
        arguments.repeats,
    )
    n_tokens = sum(chunk.n_tokens for chunk in ranker.rank(query, known).chunks)
    parts = stages(ranker, query, known)
    few = max(2, arguments.repeats // 3)
    seconds |= interleaved(
        {
            "cold 20": lambda: ranker.rank(query, known[:20]),
            "cross-encoder 20, again": lambda: pairs(query, known[:20]),
            "cross-encoder 200": lambda: pairs(query, known[:200]),
        },
        few,
        before={"cold 20": lambda: ranker._cache.vectors.clear()},
    )
    over = statistics.median(seconds["cross-encoder 200"])
    ratios = {
        "warm 20 over cross-encoder": paired(seconds["warm 20"], seconds["cross-encoder 20"]),
        "warm 200 over cross-encoder": statistics.median(seconds["warm 200"]) / over,
        "warm 2000 over cross-encoder": statistics.median(seconds["warm 2000"]) / (10 * over),
        "cold 20 over cross-encoder": paired(
            seconds["cold 20"], seconds["cross-encoder 20, again"]
        ),
    }
    on_disk = from_disk(arguments.data, query, arguments.most)
    first, last = (statistics.median(on_disk[n]) for n in (min(on_disk), max(on_disk)))
    ratios["from disk, a chunk, most over fewest"] = (last / max(on_disk)) / (first / min(on_disk))
    about: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "dtype": str(ranker._layout._reader.dtype),  # type: ignore[attr-defined]
        "tokens_of_2000_chunks": n_tokens,
        "seconds": rounded(seconds),
        "seconds_from_disk": {str(n): [round(s, 4) for s in found] for n, found in on_disk.items()},
        "stages_of_2000": parts,
        "ratios": {name: round(ratio, 4) for name, ratio in ratios.items()},
    }
    store(about, arguments.out)


def fill(ranker: AttentionRanker, texts: Sequence[str]) -> None:
    """Keep random vectors of the right shape for texts, as if they had been read."""
    layout: Any = ranker._layout
    reader = layout._reader
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(texts), 500):
        tokens = ranker._plain.content(texts[start : start + 500])
        shape = (len(reader.key_heads), reader.n_dims)
        vectors = [quantize(torch.randn(len(one), *shape, generator=generator)) for one in tokens]
        keys = layout._chunks.keys(tokens, ranker._options)
        layout._chunks._kept.put(dict(zip(keys, vectors, strict=True)))


def check(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> None:
    """Make sure that warm is warm, or no number here means what it says."""
    read = ranker.stats.tokens_encoded
    ranker.rank(query, texts)
    if ranker.stats.tokens_encoded != read:
        raise SystemExit("chunks that should be kept were read again")


def from_disk(folder: Path, query: str, most: int) -> Mapping[int, list[float]]:
    """Seconds over chunks that are only in the store on disk, its pages in the system's cache."""
    _, known = query_and_chunks(folder, 2000)
    copies = -(-most // len(known))
    texts = [f"{number}: {text}" for number in range(copies) for text in known][:most]
    with tempfile.TemporaryDirectory() as place:
        ranker = AttentionRanker.from_pretrained(
            MODEL, layout="late", memory_bytes=0, store=place, store_bytes=None
        )
        fill(ranker, texts)
        check(ranker, query, texts[:100])
        sizes = [size for size in (2000, most) if size <= most]
        calls = {str(n): (lambda n=n: ranker.rank(query, texts[:n], top_n=10)) for n in sizes}
        return {int(name): found for name, found in interleaved(calls, 3).items()}


def stages(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> dict[str, float]:
    """Where the time of one warm call goes."""
    timings = ranker.rank(query, texts, top_n=10).timings
    return {
        name: round(getattr(timings, name), 4) for name in ("tokenize", "encode", "query", "total")
    }


if __name__ == "__main__":
    main()
