"""Fits the late layout's profile of a model, as it ships.

python -m benchmarks.late_fit DATA_FOLDER --out FILE.json [--model NAME] [--max-layer N]
    [--limit N] [--candidates N] [--captures FOLDER]

It uses the first 150 queries of nq and of hotpotqa_paragraphs, and the first 25 of
hotpotqa_sentences, which are from HotpotQA too and are counted with it; large models use fewer
queries and candidates. Sentences of nq are labelled by whether the answer's words are in them, in
the paragraph that has the answer. Two retrievers show how their order is weighted: all-MiniLM-L6-v2
and BM25.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from attnmass import fit_profile
from attnmass.fitting import HeadSelection
from attnmass.text.segmentation import segment
from benchmarks.baselines import MiniLM, bm25
from benchmarks.data import N_FIT
from benchmarks.quality import MODEL

SENTENCES = ("hotpotqa_sentences", 25)
Query = dict[str, Any]
LAST_LAYER = 18  # of 30: where the heads of the parallel layout's profile also end


def main() -> None:
    """Fit and write the profile and its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--max-layer", type=int, default=LAST_LAYER, help="the deepest to select")
    parser.add_argument("--limit", type=int, help="queries of each set (default: all)")
    parser.add_argument("--candidates", type=int, help="chunks of each query (default: all)")
    parser.add_argument("--dtype", help="what the model computes in (default: its own)")
    parser.add_argument("--captures", type=Path, help="where captures are kept")
    arguments = parser.parse_args()
    if arguments.captures is not None:
        arguments.captures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        scored = Scored((arguments.captures or Path(place)) / "scores.jsonl")
        some = (arguments.data, arguments.limit, arguments.candidates, scored)
        files = [
            written(Path(place) / "nq.jsonl", nq(*some)),
            written(Path(place) / "hotpotqa.jsonl", hotpotqa(*some)),
        ]
        found = fit_profile(
            files,
            model=arguments.model,
            layout="late",
            selection=HeadSelection(max_layer=arguments.max_layer),
            captures=arguments.captures,
            **({} if arguments.dtype is None else {"dtype": arguments.dtype}),
        )
    found.save(arguments.out)
    print(found.report)


class Scored:
    """Two retrievers' scores of chunks, kept in a file, since they take minutes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        self._known: dict[str, list[list[float]]] = dict(map(json.loads, lines))
        self._minilm: MiniLM | None = None

    def __call__(self, query: dict[str, Any]) -> dict[str, Any]:
        """The query, with the scores for each of its chunks."""
        chunks, name = query["chunks"], str(query["id"])
        if name not in self._known:
            self._minilm = self._minilm or MiniLM()
            texts = [chunk["text"] for chunk in chunks]
            both = self._minilm(query["query"], texts), bm25(query["query"], texts)
            self._known[name] = [list(map(float, each)) for each in zip(*both, strict=True)]
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps([name, self._known[name]]) + "\n")
        for chunk, scores in zip(chunks, self._known[name], strict=True):
            chunk["retrieval_score"] = scores
        return query


def nq(
    folder: Path, limit: int | None, candidates: int | None, scored: Callable[[Query], Query]
) -> Iterator[dict[str, Any]]:
    """Queries of Natural Questions, with their sentences labelled."""
    for query in rows(folder, "nq", at_most(limit, N_FIT["nq"]), candidates, scored):
        answer = query["answer"].lower()
        for chunk in query["chunks"]:
            text = chunk["text"]
            chunk["sentences"] = [
                [one.start, one.end, int(is_there(answer, text[one.start : one.end], chunk))]
                for one in segment(text)
            ]
        yield query


def is_there(answer: str, sentence: str, chunk: dict[str, Any]) -> bool:
    """Whether a sentence has the answer."""
    return bool(chunk["relevant"]) and answer in sentence.lower()


def hotpotqa(
    folder: Path, limit: int | None, candidates: int | None, scored: Callable[[Query], Query]
) -> Iterator[dict[str, Any]]:
    """Queries of HotpotQA, those with labelled sentences last."""
    for name, count in ("hotpotqa_paragraphs", N_FIT["hotpotqa_paragraphs"]), SENTENCES:
        yield from rows(folder, name, at_most(limit, count), candidates, scored)


def at_most(limit: int | None, count: int) -> int:
    """How many queries are taken."""
    return count if limit is None else min(limit, count)


def rows(
    folder: Path, name: str, count: int, candidates: int | None, scored: Callable[[Query], Query]
) -> Iterator[dict[str, Any]]:
    """The first queries of a set, with scores; for each, all that is relevant, and some others."""
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for _, line in zip(range(count), lines, strict=False):
            query = scored(json.loads(line))
            chunks = query["chunks"]
            others = [i for i, chunk in enumerate(chunks) if not chunk["relevant"]]
            n_out = 0 if candidates is None else max(0, len(chunks) - candidates)
            n_out = min(n_out, len(others) - 1)
            out = set(random.Random(str(query["id"])).sample(others, n_out))
            query["chunks"] = [chunk for i, chunk in enumerate(chunks) if i not in out]
            yield query


def written(path: Path, queries: Iterable[dict[str, Any]]) -> Path:
    """A file of queries."""
    with path.open("w", encoding="utf-8") as file:
        for query in queries:
            file.write(json.dumps(query, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    main()
