"""What a corpus of 10^8 chunks at 1,000 queries a second would take, from measured constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

CHUNKS = 10**8
QUERIES = 1000  # a second
CANDIDATES = (20, 100, 500)  # for each, from a first stage
TOKENS = 130  # of a chunk


def table(cost: dict[str, Any], tiers: dict[str, Any], cluster: dict[str, Any]) -> str:
    """Bytes, cores and network by number of candidates.

    Args:
        cost: From `benchmarks.late_cost`: a warm query over 20 and over 2,000 chunks, all cores
            busy.
        tiers: From `benchmarks.tiers`: what reading takes on one core.
        cluster: From `benchmarks.cluster`: what goes over the wire.
    """
    tier = tiers["smollm2-135m"]
    few, many = (
        float(np.median(cost["seconds"][name])) * cost["threads"]
        for name in ("warm 20", "warm 2000")
    )
    a_chunk = (many - few) / 1980  # core seconds for the product, and for what is made from it
    a_query = few - 20 * a_chunk
    back = cluster["bytes_sent_per_chunk"]
    bytes_kept = CHUNKS * TOKENS * tier["bytes_a_token"]
    reading = CHUNKS * tier["index_seconds"] / tier["chunks_read"] / 3600
    lines = [
        "| candidates of a query | cores for queries | cores for shards | answers of shards |",
        "|---|---|---|---|",
    ]
    for count in CANDIDATES:
        traffic = QUERIES * count * back
        lines.append(
            f"| {count} | {math.ceil(QUERIES * a_query):,} "
            f"| {math.ceil(QUERIES * count * a_chunk):,} | {traffic / 1e6:,.0f} MB/s |"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"The store has {bytes_kept / 1e12:.1f} TB, and reading it once takes {reading:,.0f} "
            f"core hours. A query's pass takes {1000 * a_query:.0f} core milliseconds, a candidate "
            f"{1e6 * a_chunk:.0f} core microseconds.",
            "",
        ]
    )
