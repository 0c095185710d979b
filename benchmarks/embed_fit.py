"""Fits the weight of a cosine of embeddings in the scores of spans, for the late profile.

python -m benchmarks.embed_fit DATA_FOLDER [--store FOLDER] [--dtype NAME]

A conditional logit of the logarithm of a span's score, as shipped, and of all-MiniLM-L6-v2's
cosine, with the spans of a query competing: on the documents of `benchmarks.single` that may fit,
and on the HotpotQA queries with labelled sentences that `benchmarks.span_fit` is fitted on. Both
sets are weighted equally. Only the order of spans counts, so what is written into the profile is
the weight of the cosine over that of the logarithm.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from attnmass.profiles import load_profile
from benchmarks import quality, single
from benchmarks.data import N_FIT
from benchmarks.heads import PROFILES
from benchmarks.late_fit import SENTENCES
from benchmarks.late_ranker import late_ranker
from benchmarks.sentence_baselines import MiniLMSentences
from benchmarks.sentence_data import read_sentences
from benchmarks.spans import AttentionSpans, Spans

RESULTS = Path(__file__).parent / "results" / "embed_fit.json"

# Two weights, and hundreds of spans: no penalty is needed.
logit = partial(single.conditional_logit, penalty=0.0)

Asked = tuple[str, Sequence[str], Spans, Sequence[int]]


def main() -> None:
    """Fit, write the weight into the profile, and what was fitted into `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--store", type=Path, help="where what was read is kept")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = {
        "single": list(documents(arguments.data)),
        "hotpotqa": list(labelled(arguments.data)),
    }
    with late_ranker(arguments) as ranker:
        scorers = AttentionSpans(ranker), MiniLMSentences()
        rows = {name: [columns(each, *scorers) for each in sets] for name, sets in found.items()}
    labels = {
        name: [np.array(relevant, dtype=bool) for *_, relevant in sets]
        for name, sets in found.items()
    }
    fitted = {name: logit(rows[name], labels[name], [1.0] * len(rows[name])) for name in found}
    fitted["both"] = logit(
        [row for name in found for row in rows[name]],
        [row for name in found for row in labels[name]],
        [1 / len(sets) for sets in found.values() for _ in sets],
    )
    score, cosine = fitted["both"]
    weight = max(0.0, round(float(cosine / score), 2))
    path = PROFILES / f"{quality.MODEL}.late.json"
    profile = load_profile(path)
    assert profile.fusing is not None
    fusing = replace(profile.fusing, spans=weight)
    path.write_text(replace(profile, fusing=fusing).to_json(), encoding="utf-8")
    report = {
        "model": quality.MODEL,
        "queries": {name: len(sets) for name, sets in found.items()},
        "weights": {name: [round(float(x), 4) for x in each] for name, each in fitted.items()},
        "spans": weight,
    }
    print(text := json.dumps(report, indent=1))
    arguments.out.write_text(f"{text}\n", encoding="utf-8")


def documents(folder: Path) -> Iterator[Asked]:
    """Single documents that may fit."""
    for one in single.documents(folder, "nq", slice(N_FIT["nq"])):
        yield one.query, [one.text], [one.spans], one.relevant


def labelled(folder: Path) -> Iterator[Asked]:
    """Queries with labelled sentences in several chunks that may fit."""
    for one in read_sentences(folder)[: SENTENCES[1]]:
        yield one.query, one.texts, one.spans, one.relevant


def columns(asked: Asked, shipped: AttentionSpans, minilm: MiniLMSentences) -> single.Floats:
    """Logarithm of the score, and the cosine, of each span of all chunks, `[span, 2]`."""
    query, texts, spans, _ = asked
    scores, cosines = (
        np.concatenate([np.array(part, dtype=np.float64) for part in scorer(query, texts, spans)])
        for scorer in (shipped, minilm)
    )
    return np.stack([np.log(scores + 1e-9), cosines], axis=1)


if __name__ == "__main__":
    main()
