"""Fits the late layout's profile of the default model, as it ships.

python -m benchmarks.late_fit DATA_FOLDER --out FILE.json [--captures FOLDER]

The first 150 queries of nq and of hotpotqa_paragraphs, and the first 25 of hotpotqa_sentences,
which are of HotpotQA too and are counted with it. Sentences of nq are labelled by whether the
answer's words stand in them, in the paragraph that has the answer. Two retrievers tell how their
order is weighed: all-MiniLM-L6-v2 and BM25.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnmass import fit_profile
from attnmass.text.segmentation import segment
from benchmarks.baselines import MiniLM, bm25
from benchmarks.data import N_FIT
from benchmarks.quality import MODEL

N_SENTENCES = 25
LAST_LAYER = 18  # of 30: where the heads of the parallel layout's profile end, too


def main() -> None:
    """Fit and write the profile and its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--captures", type=Path, help="where captures are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        files = [
            written(Path(place) / "nq.jsonl", nq(arguments.data)),
            written(Path(place) / "hotpotqa.jsonl", hotpotqa(arguments.data)),
        ]
        found = fit_profile(
            files,
            model=MODEL,
            layout="late",
            max_layer=LAST_LAYER,
            captures=arguments.captures,
        )
    found.save(arguments.out)
    print(found.report)


def nq(folder: Path) -> Iterator[dict[str, Any]]:
    """Queries of Natural Questions, their sentences labelled."""
    for query in rows(folder, "nq", N_FIT["nq"]):
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


def hotpotqa(folder: Path) -> Iterator[dict[str, Any]]:
    """Queries of HotpotQA, those with labelled sentences last."""
    yield from rows(folder, "hotpotqa_paragraphs", N_FIT["hotpotqa_paragraphs"])
    yield from rows(folder, "hotpotqa_sentences", N_SENTENCES)


def rows(folder: Path, name: str, count: int) -> Iterator[dict[str, Any]]:
    """The first queries of a set, with what two retrievers score their chunks."""
    minilm = MiniLM()
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        for _, line in zip(range(count), lines, strict=False):
            query = json.loads(line)
            texts = [chunk["text"] for chunk in query["chunks"]]
            scores = zip(minilm(query["query"], texts), bm25(query["query"], texts), strict=True)
            for chunk, found in zip(query["chunks"], scores, strict=True):
                chunk["retrieval_score"] = list(found)
            yield query


def written(path: Path, queries: Iterator[dict[str, Any]]) -> Path:
    """A file of queries."""
    with path.open("w", encoding="utf-8") as file:
        for query in queries:
            file.write(json.dumps(query, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    main()
