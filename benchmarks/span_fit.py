"""Refits how a late profile scores sentences, by labels and by single documents.

python -m benchmarks.span_fit DATA_FOLDER [--captures FOLDER] [--model NAME] [--dtype NAME]

The labelled sentences come from the queries of `benchmarks.late_fit`, several chunks each: 25 of nq
and 25 of HotpotQA. To these are added the documents of `benchmarks.single` that may fit: of some
ten sentences each, one of which says the answer. The three sets are weighted equally. Only heads
that the profile reads anyway take part, so that no more is kept for a token; nothing else in the
profile changes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from attnmass.fitting.captures.arrays import Choice
from attnmass.fitting.captures.capture import capture_all, look_at_heads
from attnmass.fitting.captures.store import Store
from attnmass.fitting.heads.crossval import split_folds
from attnmass.fitting.queries.data import read_data
from attnmass.fitting.queries.items import LabelledChunk, LabelledQuery
from attnmass.fitting.reports import facts
from attnmass.fitting.sentences.quality import spans_of
from attnmass.fitting.sentences.spans import fit_spans, span_rule_of
from attnmass.fitting.shares.ranking import Exponents
from benchmarks import single
from benchmarks.data import N_FIT
from benchmarks.late_fit import SENTENCES, at_most, nq, rows, written
from benchmarks.refit import FOLDS, asked

RESULTS = Path(__file__).parent / "results" / "span_fit.json"
MOST = 8  # heads by weights
NQ = 25  # queries, with twenty candidates each, as many as HotpotQA has with labels


def main() -> None:
    """Fit, and write the rule into the profile and what folds said about it into `--out`."""
    refit = asked(__doc__, RESULTS)
    arguments, path = refit.arguments, refit.path
    profile, subject = refit.profile, refit.subject
    heads = profile.all_heads
    choice = Choice(tuple(map(heads.index, profile.heads)), profile.weights)
    sharing = None
    if profile.ranking is not None:
        ranked = tuple(map(heads.index, profile.ranking.heads))
        sharing = Exponents(ranked, profile.ranking.exponents)
    found = {
        "hotpotqa": labelled(arguments.data, "hotpotqa", arguments.limit),
        "single": list(documents(arguments.data, arguments.limit)),
        "nq": labelled(arguments.data, "nq", arguments.limit),
    }
    look = look_at_heads(subject.reader(heads), subject.plain)
    store = Store(arguments.captures, subject.about(heads))
    known = []
    for name, queries in found.items():
        captures = capture_all(queries, look, store, desc=name, progress=True)
        told = [spans_of(q, c, choice, sharing) for q, c in zip(queries, captures, strict=True)]
        known += [(list(found).index(name), spans) for spans in told if spans is not None]
    sets = np.array([number for number, _ in known])
    fitted = fit_spans(
        [spans for _, spans in known],
        split_folds(sets, FOLDS, 0),
        sets,
        sorted(choice.heads),
        choice,
        MOST,
        () if sharing is None else sharing.heads,
    )
    report = facts.of_spans(fitted, heads)
    print(report["told"])
    rule = span_rule_of(fitted, choice, heads)
    path.write_text(replace(profile, spans=rule).to_json(), encoding="utf-8")
    report["sets"] = {name: int((sets == i).sum()) for i, name in enumerate(found)}
    report["model"] = arguments.model
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def labelled(folder: Path, name: str, limit: int | None) -> list[LabelledQuery]:
    """Queries whose candidates' sentences are labelled, as `benchmarks.late_fit` writes them."""
    with tempfile.TemporaryDirectory() as place:
        if name == "nq":
            queries = nq(folder, at_most(limit, NQ), None, dict)
        else:
            queries = rows(folder, SENTENCES[0], at_most(limit, SENTENCES[1]), None, dict)
        return list(read_data([written(Path(place) / f"{name}.jsonl", queries)]).queries)


def documents(folder: Path, limit: int | None) -> Iterator[LabelledQuery]:
    """Single documents, each a query with one chunk."""
    for number, one in enumerate(single.documents(folder, "nq", slice(N_FIT["nq"]))):
        if limit is not None and number >= limit:
            return
        sentences = tuple(
            (start, end, bool(label))
            for (start, end), label in zip(one.spans, one.relevant, strict=True)
        )
        chunk = LabelledChunk(one.text, 1.0, "document", sentences=sentences)
        yield LabelledQuery(one.query, (chunk,), str(number), f"document {number}")


if __name__ == "__main__":
    main()
