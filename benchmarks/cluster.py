"""What shards on Ray cost: a query over up to 100,000 chunks in 4 of them, time and memory.

`python -m benchmarks.cluster --out benchmarks/results/cluster.json` measures, and `--draw` draws
`docs/cluster.svg` from the last result. Key vectors are random, of the shape that the default
model's profile keeps, since reading so many chunks would take hours and the product does not care
what the numbers are. Everything else is what `attnmass.serving.ray` runs: handles of Ray Serve, one
deployment for each shard, placing by hash, scatter, gather, and the exact merge.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import numpy as np
import ray
import torch
from ray import serve

from attnmass.cluster.remote import RemoteShard
from attnmass.cluster.wire import Rows, Seen, Wanted
from attnmass.layouts import LayoutOptions, Placing, Shards
from attnmass.layouts.late_masses import HeldVectors
from attnmass.masses import Denominator, KeyVectors, Queries, chunk_mass
from attnmass.options.clustering import shard_names
from attnmass.serving.ray import Asking
from attnmass.text.tokens import KnownTokens

KEY_HEADS, DIMS, TOKENS = 6, 64, 130  # of the profile that ships for smollm2-135m; a usual chunk
KEY_OF = (0, 1, 2, 3, 4, 4, 5, 5)
ROWS = 12  # tokens of a query
SIZES = (1_000, 10_000, 30_000, 100_000)
TRIES = 3
RESULT = Path(__file__).parent / "results" / "cluster.json"
PICTURE = Path(__file__).parents[1] / "docs" / "cluster.svg"


class RandomShard:
    """A shard of random key vectors that answers as `ShardHolder` does."""

    def __init__(self, name: str, names: list[str], n_chunks: int) -> None:
        every = chunks(n_chunks)
        places = Placing(names)(every)
        mine = [chunk.digest for chunk, place in zip(every, places, strict=True) if place == name]
        generator = torch.Generator().manual_seed(names.index(name))
        shape = (len(mine), TOKENS, KEY_HEADS, DIMS)
        codes = torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator)
        scales = torch.full((len(mine), TOKENS, KEY_HEADS), 0.01, dtype=torch.float16)
        self._keys = {digest: KeyVectors(codes[i], scales[i]) for i, digest in enumerate(mine)}

    async def ask(self, method: str, *args: Any) -> Any:
        """As `ShardServer.ask`."""
        return getattr(self, method)(*args)

    def missing(self, wanted: Wanted) -> tuple[int, ...]:
        """None: all are here."""
        return tuple(i for i, key in enumerate(_digests(wanted)) if key not in self._keys)

    def look(self, rows: Rows, wanted: Wanted, ignored: dict[int, Any]) -> Seen:
        """As `ShardHolder.look`."""
        held = HeldVectors([self._keys[digest] for digest in _digests(wanted)])
        found = held.look(rows.queries(torch.device("cpu")), ignored)
        return Seen(tuple(range(len(held))), found.numpy())

    def memory(self) -> int:
        """The most bytes that this process had."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _digests(wanted: Wanted) -> list[bytes]:
    return [wanted.digests[i : i + 32] for i in range(0, len(wanted.digests), 32)]


def _unread() -> NoReturn:
    raise LookupError("there is no text behind random vectors")


def chunks(n_chunks: int) -> list[KnownTokens]:
    """The first `n_chunks` chunks: digests without a text."""
    digests = np.random.default_rng(0).bytes(32 * n_chunks)
    return [KnownTokens(digests[32 * i : 32 * i + 32], TOKENS, _unread) for i in range(n_chunks)]


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, default=max(SIZES))
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", action="store_true", help="draw the result that is there")
    asked = parser.parse_args()
    if asked.draw:
        draw(json.loads(RESULT.read_text(encoding="utf-8")))
        return
    names = shard_names(asked.shards)
    ray.init(num_cpus=asked.shards + 1, include_dashboard=False, log_to_driver=False)
    handles = {}
    started = time.perf_counter()
    for name in names:
        made = serve.deployment(RandomShard).options(name=name)
        handles[name] = serve.run(
            made.bind(name, names, asked.chunks), name=name, route_prefix=None
        )
    built = time.perf_counter() - started
    remote = {name: RemoteShard(Asking(name, each, 600), "") for name, each in handles.items()}
    shards = Shards(remote, at_once=True)
    generator = torch.Generator().manual_seed(9)
    vectors = torch.randn(ROWS, len(KEY_OF), DIMS, generator=generator) / 8
    queries = Queries(vectors, KEY_OF, (None,) * len(KEY_OF))
    every, rows = chunks(asked.chunks), []
    for n_chunks in [size for size in SIZES if size <= asked.chunks]:
        some, times = every[:n_chunks], []
        for _ in range(TRIES):
            times.append(_query(shards, some, queries))
        found = {stage: round(median(each[stage] for each in times), 4) for stage in times[0]}
        rows.append({"chunks": n_chunks, **found})
        print(rows[-1], flush=True)
    memory = {name: Asking(name, each, 60)("memory") for name, each in handles.items()}
    result = {
        "shards": asked.shards,
        "tokens_per_chunk": TOKENS,
        "key_heads": KEY_HEADS,
        "dims": DIMS,
        "heads": len(KEY_OF),
        "rows": ROWS,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "seconds_to_fill": round(built, 1),
        "seconds": rows,
        "bytes_sent_per_chunk": 4 * len(KEY_OF) * ROWS,
        "key_bytes_per_chunk": TOKENS * KEY_HEADS * (DIMS + 2),
        "memory": memory,
        "memory_here": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out is not None:
        asked.out.write_text(text + "\n", encoding="utf-8")
    serve.shutdown()
    ray.shutdown()


def draw(result: dict[str, Any]) -> None:
    """The growth of a query's time with the number of candidates, both axes logarithmic."""
    import matplotlib
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "attnmass"  # the same file each time
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    sizes = [row["chunks"] for row in result["seconds"]]
    stages = {"total": "in all", "look": "looking", "find": "finding", "merge": "merging"}
    for stage, label in stages.items():
        axes.plot(sizes, [row[stage] for row in result["seconds"]], marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="candidates", ylabel="seconds for a query")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(PICTURE, metadata={"Date": None})


def _query(shards: Shards, some: list[KnownTokens], queries: Queries) -> dict[str, float]:
    """Seconds of each stage of one query."""
    started = time.perf_counter()
    held = shards.read(some, LayoutOptions(), lambda _: None)
    asked = time.perf_counter()
    seen = held.look(queries, {})
    looked = time.perf_counter()
    chunk_mass(seen, Denominator.of([seen]))
    merged = time.perf_counter()
    return {
        "find": asked - started,
        "look": looked - asked,
        "merge": merged - looked,
        "total": merged - started,
    }


if __name__ == "__main__":
    main()
