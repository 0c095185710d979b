"""Refits what a late profile tells relevance and evidence by; nothing else in it changes.

python -m benchmarks.relevance_fit DATA_FOLDER [--captures FOLDER] [--model NAME] [--dtype NAME]

The queries are those of `benchmarks.late_fit`, and so are the two retrievers, of which the cosines
play a part in evidence. Only heads that the profile reads anyway take part.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from attnmass.fitting.captures.capture import capture_all
from attnmass.fitting.captures.store import Capture, Store
from attnmass.fitting.evidence.fused_evidence import fit_fused_evidence
from attnmass.fitting.evidence.telling import fit_relevance_of
from attnmass.fitting.heads.crossval import split_folds
from attnmass.fitting.queries.data import read_data
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.reports import facts
from benchmarks.late_fit import Scored, hotpotqa, nq, written
from benchmarks.refit import FOLDS, asked

RESULTS = Path(__file__).parent / "results" / "relevance_fit.json"  # for the default model


def main() -> None:
    """Fit, and write the rules into the profile and what folds said about them into `--out`."""
    refit = asked(__doc__, RESULTS)
    arguments, path = refit.arguments, refit.path
    profile, subject = refit.profile, refit.subject
    if profile.fusing is None:
        raise SystemExit(f"{path} has no rule for a retriever's scores: run benchmarks.late_fit")
    arguments.captures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        some = (arguments.data, arguments.limit, None, Scored(arguments.captures / "scores.jsonl"))
        files = [
            written(Path(place) / "nq.jsonl", nq(*some)),
            written(Path(place) / "hotpotqa.jsonl", hotpotqa(*some)),
        ]
        data = read_data(files)
    names = list(data.counts)
    folds = split_folds(np.array([names.index(name) for name in data.sets]), FOLDS, 0)

    def capture(
        queries: Sequence[LabelledQuery],
        look: Callable[[LabelledQuery], Capture],
        about: dict[str, Any],
        desc: str,
    ) -> list[Capture]:
        store = Store(arguments.captures, about)
        return capture_all(queries, look, store, desc=desc, progress=True)

    relevance = fit_relevance_of(subject, data.queries, profile, capture, folds, 0)
    both = fit_fused_evidence(data.queries, relevance, folds)
    report = {"model": arguments.model, "queries": data.counts, **facts.of_relevance(relevance)}
    report["evidence with cosines"] = None if both is None else asdict(both)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    fusing = replace(profile.fusing, evidence=None if both is None else both.weights)
    made = replace(profile, relevance=relevance.rule, fusing=fusing)
    path.write_text(made.to_json(), encoding="utf-8")


def told(found: dict[str, Any]) -> str:
    """What folds said about the rule, and its reliability diagram."""
    threshold = (
        "The threshold of evidence, chosen so that a silenced answer costs as much as four missed "
        f'"none", silences {found["silenced"]:.1%} of the answerable queries and lets '
        f"{found['missed']:.1%} of both kinds of others through."
    )
    lines = [
        f"The rule of `{found['model']}` was fitted on {sum(found['queries'].values())} queries, "
        "each with chunks of other queries beside its own. On held-out folds, the best relevance "
        f"has an area under the ROC curve of {found['auc_others']:.3f} in telling what supports "
        "the answer from as many chunks of other queries, and of "
        f"{found['auc_nearest_by_best']:.3f} in telling a query's own candidates from the same "
        "without what supports the answer. There attention without words would have "
        f"{found['auc_nearest_by_attention']:.3f}, and evidence has {found['auc_nearest']:.3f}. "
        f"The Brier score is {found['brier']:.3f}, at even odds of relevant chunks and others. "
        f"{threshold}",
        "",
        "| mean relevance | relevant, held-out folds |",
        "|---|---|",
        *(f"| {mean:.2f} | {share:.2f} |" for mean, share in found["reliability"]),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
