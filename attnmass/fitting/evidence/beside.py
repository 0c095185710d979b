"""Captures of chunks alone beside the background, a query's own and those of others."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from attnmass.capture import Head
from attnmass.fitting.captures.capture import chunks_of
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.ranker import AttentionRanker
from attnmass.text.inputs import read_chunks
from attnmass.text.tokens import PlainTokenizer
from attnmass.trimming import tokens_of

N_OTHERS = 20  # chunks of other queries that each query is compared with


def with_others(queries: Sequence[LabelledQuery], seed: int = 0) -> list[LabelledQuery]:
    """Each query with chunks of others after its own, none of which supports it."""
    pool = list({chunk.text: chunk for query in queries for chunk in query.chunks}.values())
    found = []
    for query in queries:
        known = {chunk.text for chunk in query.chunks}
        left = [chunk for chunk in pool if chunk.text not in known]
        drawn = random.Random(f"{seed}-{query.id}").sample(left, min(N_OTHERS, len(left)))
        others = [
            LabelledChunk(chunk.text, 0.0, id=f"other {i}", title=chunk.title)
            for i, chunk in enumerate(drawn)
        ]
        found.append(replace(query, chunks=(*query.chunks, *others)))
    return found


def look_beside(
    ranker: AttentionRanker, plain: PlainTokenizer, heads: Sequence[Head]
) -> Callable[[LabelledQuery], Capture]:
    """Capture what some heads give chunks and labelled sentences beside the background."""
    indices = [ranker.profile.all_heads.index(head) for head in heads]

    def look(query: LabelledQuery) -> Capture:
        chunks = chunks_of(query)
        beside = ranker.attention(query.query, chunks).beside
        if beside is None:
            raise ValueError("the ranker measures nothing against a background")
        inputs = read_chunks(chunks, plain)
        counts = [len(inputs.tokens.get(index, ())) for index in range(len(chunks))]
        spans = []
        for index, chunk in enumerate(query.chunks):
            if chunk.sentences and index in inputs.tokens:
                offsets = np.array(inputs.tokens[index].offsets, dtype=np.int64).reshape(-1, 2)
                places = [(start, end) for start, end, _ in chunk.sentences]
                groups = tokens_of(offsets, inputs.start(index), places)
                spans.append(beside.parts(index, groups)[:, indices].numpy())
        return Capture(
            beside.chunks[:, indices].T.numpy().astype(np.float32),
            np.array(counts, dtype=np.float32),
            span_masses=np.concatenate(spans).T.astype(np.float32) if spans else None,
        )

    return look
