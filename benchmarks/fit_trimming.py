"""Fit how a model's profile scores spans and evidence, and what sentences lean on.

Sentences are not labelled in the sets that may fit, so substitutes serve as labels: in a supporting
chunk, a sentence that says the answer, or (HotpotQA) names the other supporting chunk. Span heads:
forward selection with equal weights by the area under ROC inside supporting chunks, which is not
confounded by the choice of the chunk. Length exponent and chunk share: what keeps most of
HotpotQA's labels within budgets, since its labels are in several chunks. Evidence: logistic
regression on candidates with and without the supporting chunks, as they are, fewer, and longer; the
threshold answers 95% of the answerable queries of each set on average. Context: the head that most
often picks the labelled antecedent, on every second article.

python -m benchmarks.fit_trimming DATA_FOLDER [--model NAME] [--layout NAME] [--limit N]
                                  [--only PART ...]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from attnmass import AttentionRanker, HeadProfile, load_profile
from attnmass.capture import Head
from attnmass.options.declared import PointwiseReading
from attnmass.profiles import EvidenceRule, SpanRule
from attnmass.profiles.rules import Features
from attnmass.scoring.masses import chunk_masses, head_masses
from attnmass.text.segmentation import segment
from attnmass.trimming import span_scores
from benchmarks.antecedents import fit_items, picks_of_heads
from benchmarks.data import N_FIT, SETS, Labelled, fit_part
from benchmarks.evidence import SHAPES, pairs, shaped, threshold_that_keeps
from benchmarks.heads import PROFILES, all_heads
from benchmarks.sentence_data import read_answers
from benchmarks.sentence_metrics import PERCENTS, auc, has_answer, normalize, share_kept
from benchmarks.spans import attention_by_span, shared_out

Floats = npt.NDArray[np.float64]

CANDIDATES = 16  # best single heads that take part
LEAST_GAIN = 0.001  # area under ROC that one more head has to bring
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
VARIED_QUERIES = 60  # of each set, which are also read in the other shapes
FIRST_LAYER = 4  # heads below it say nothing about evidence
EVIDENCE_C = 0.1  # how weak the penalty is; a larger number brought more heads and little else
PARTS = ("spans", "evidence", "context")
FITTED = tuple(name for name in SETS if N_FIT[name])


@dataclass(frozen=True, slots=True)
class Captured:
    """One query's spans.

    Attributes:
        masses: `[head, span]`, over all chunks.
        counts: Tokens of each span.
        chunks: Which chunk each span is in.
        chunk_masses: Masses by the profile's chunk heads, `[span]`.
        labels: 1 for each span that stands in for a supporting one.
    """

    masses: Floats
    counts: Floats
    chunks: npt.NDArray[np.int64]
    chunk_masses: Floats
    labels: npt.NDArray[np.int64]


def main() -> None:
    """Capture, fit, and write the rules into the model's profile."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layout", default="parallel", help="of the profile")
    parser.add_argument("--limit", type=int, help="queries of each set, to try the script out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    path = PROFILES / f"{arguments.model}.{arguments.layout}.json"
    profile = load_profile(path)

    if "spans" in arguments.only:
        found = fit_spans(arguments.model, profile, arguments.data, arguments.limit)
        profile = replace(profile, spans=found)
    if "evidence" in arguments.only:
        rule = fit_evidence(arguments.model, profile, arguments.data, arguments.limit)
        profile = replace(profile, evidence=rule)
    if "context" in arguments.only:
        profile = replace(profile, context=fit_context(arguments.model, profile))
    path.write_text(profile.to_json(), encoding="utf-8")
    print(profile.to_json())


def fit_spans(model: str, profile: HeadProfile, folder: Path, limit: int | None) -> SpanRule:
    """Span heads, length exponent and chunk share."""
    heads = _heads_up_to(model, profile.last_layer)
    ranker = _reading(model, profile, heads)
    order = ranker.profile.all_heads
    captured: dict[str, list[Captured]] = {}
    for name in FITTED:
        queries = fit_part(folder, name)[:limit]
        answers = read_answers(folder, name)
        captured[name] = [
            _capture(ranker, query, known.answers, order, profile, name)
            for query, known in zip(tqdm(queries, desc=f"spans of {name}"), answers, strict=False)
        ]
    captured = {
        name: [one for one in part if 0 < one.labels.sum() < len(one.labels)]
        for name, part in captured.items()
    }

    def inside(chosen: Sequence[int]) -> float:
        """Area under ROC inside supporting chunks, with sets weighted equally."""
        return float(
            np.mean([np.mean(_inside(part, chosen, profile)) for part in captured.values()])
        )

    alone = {i: inside([i]) for i in tqdm(range(len(order)), desc="single heads")}
    candidates = sorted(alone, key=lambda i: -alone[i])[:CANDIDATES]
    print("best single heads:", [(order[i], round(alone[i], 3)) for i in candidates])
    selected: list[int] = []
    best = 0.0
    while len(selected) < len(candidates):
        gains = {i: inside([*selected, i]) for i in candidates if i not in selected}
        head = max(gains, key=lambda i: gains[i])
        if gains[head] < best + LEAST_GAIN:
            break
        best = gains[head]
        selected.append(head)
    chosen = tuple(order[i] for i in selected)
    rules = [
        SpanRule(chosen, (1 / len(chosen),) * len(chosen), exponent, share)
        for exponent, share in product(EXPONENTS, SHARES)
    ]
    part = captured["hotpotqa_paragraphs"]
    found = {
        rule: np.mean([_within_budgets(one, selected, rule) for one in part]) for rule in rules
    }
    return max(rules, key=lambda rule: found[rule])


def _capture(
    ranker: AttentionRanker,
    query: Labelled,
    answers: Sequence[str],
    heads: Sequence[Head],
    profile: HeadProfile,
    name: str,
) -> Captured:
    spans = [
        [(s.start, s.end) for s in segment(text) if s.kind != "heading"] for text in query.texts
    ]
    titles = [
        text.split("\n")[0]
        for text, label in zip(query.texts, query.relevant, strict=True)
        if label
    ]
    parts = attention_by_span(ranker, query.query, query.texts, spans)
    scores = shared_out([attention for attention, _, _ in parts], profile, heads)
    labels: list[int] = []
    chunks: list[int] = []
    masses: list[float] = []
    for number, (text, label) in enumerate(zip(query.texts, query.relevant, strict=True)):
        others = [title for title in titles if title != text.split("\n")[0]]
        wanted = [*answers, *(others if name.startswith("hotpotqa") else [])]
        wanted = [w for w in wanted if normalize(w) not in ("", "yes", "no")]
        for start, end in spans[number]:
            labels.append(int(bool(label and wanted and has_answer([text[start:end]], wanted))))
            chunks.append(number)
            masses.append(scores[number])
    return Captured(
        np.concatenate([masses for _, masses, _ in parts], axis=1),
        np.concatenate([counts for _, _, counts in parts]),
        np.array(chunks),
        np.array(masses),
        np.array(labels),
    )


def _inside(part: Sequence[Captured], heads: Sequence[int], profile: HeadProfile) -> list[float]:
    """Area under ROC inside each chunk that has labels and other spans."""
    rule = SpanRule(profile.heads, profile.weights, length_exponent=0.5, chunk_share=0.0)
    areas = []
    for one in part:
        scores = span_scores(one.masses[list(heads)].mean(axis=0), one.counts, 1.0, rule)
        for chunk in set(one.chunks[one.labels == 1]):
            mine = one.chunks == chunk
            if one.labels[mine].min() != one.labels[mine].max():
                areas.append(float(roc_auc_score(one.labels[mine], scores[mine])))
    return areas


def _within_budgets(one: Captured, heads: Sequence[int], rule: SpanRule) -> float:
    """Mean of the area under ROC and of the shares kept within the budgets."""
    mass = one.masses[list(heads)].mean(axis=0)
    plain = replace(rule, chunk_share=0.0)
    by_length = span_scores(mass, one.counts, 1.0, plain)
    share = rule.chunk_share
    scores = (by_length ** (1 - share) * one.chunk_masses**share).tolist()
    labels, tokens = one.labels.tolist(), np.ceil(one.counts).astype(int).tolist()
    kept = [share_kept(labels, scores, tokens, percent) for percent in PERCENTS]
    return float(np.mean([auc(labels, scores), *kept]))


def fit_evidence(model: str, profile: HeadProfile, folder: Path, limit: int | None) -> EvidenceRule:
    """Logistic regression over each query's shapes, with and without the supporting chunks.

    Every head up to the last one that is read anyway is a candidate; the L1 penalty keeps few.
    """
    heads = [h for h in _heads_up_to(model, profile.last_layer) if h[0] >= FIRST_LAYER]
    ranker = _telling(model, profile, heads)
    present: dict[str, list[Features]] = {}
    absent: dict[str, list[Features]] = {}
    for name in FITTED:
        present[name], absent[name] = [], []
        part = pairs(folder, name)[: N_FIT[name]][:limit]
        for number, pair in enumerate(tqdm(part, desc=f"evidence of {name}")):
            for shape in SHAPES if number < VARIED_QUERIES else SHAPES[:1]:
                varied = shaped(pair, shape)
                present[name].append(_features(ranker, varied.query, varied.present))
                absent[name].append(_features(ranker, varied.query, varied.absent))
    return evidence_rule(heads, present, absent)


def _telling(model: str, profile: HeadProfile, heads: Sequence[Head]) -> AttentionRanker:
    """A ranker whose evidence has the masses of all these heads."""
    blank = EvidenceRule(
        length_exponent=0.25,
        heads=tuple(heads),
        best_of=(0.0,) * len(heads),
        total_of=(0.0,) * len(heads),
    )
    reading = replace(profile, evidence=blank, context=(), spans=None)
    return AttentionRanker.from_pretrained(model, profile=reading)


def evidence_rule(
    heads: Sequence[Head],
    present: Mapping[str, Sequence[Features]],
    absent: Mapping[str, Sequence[Features]],
) -> EvidenceRule:
    """The regression's rule, and the threshold that answers 95% of each set on average.

    Args:
        heads: Heads that the features are of.
        present: Features by set, of candidates with the supporting chunks.
        absent: Likewise, without them.
    """
    rows = np.array(list(chain(*present.values(), *absent.values())))
    labels = [1] * sum(map(len, present.values())) + [0] * sum(map(len, absent.values()))
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    fitted = LogisticRegression(
        C=EVIDENCE_C, l1_ratio=1.0, solver="liblinear", max_iter=10_000, random_state=0
    ).fit((rows - mean) / spread, labels)
    weights = fitted.coef_[0] / spread
    rule = _rule_of(heads, weights, float(fitted.intercept_[0]) - float(weights @ mean))
    thresholds = [
        threshold_that_keeps([rule.of_features(_of(rule, heads, row)) for row in found])
        for found in present.values()
    ]
    return replace(rule, threshold=round(float(np.mean(thresholds)), 3))


def _rule_of(heads: Sequence[Head], weights: Floats, bias: float) -> EvidenceRule:
    """The rule with what the regression left above zero."""
    own, best_of, total_of = weights[:4], weights[4 : 4 + len(heads)], weights[4 + len(heads) :]
    used = [i for i in range(len(heads)) if best_of[i] or total_of[i]]
    best, total, chunks, tokens = (round(float(value), 4) for value in own)
    return EvidenceRule(
        best,
        total,
        chunks,
        tokens,
        round(bias, 4),
        length_exponent=0.25,
        heads=tuple(heads[i] for i in used),
        best_of=tuple(round(float(best_of[i]), 4) for i in used),
        total_of=tuple(round(float(total_of[i]), 4) for i in used),
    )


def _of(rule: EvidenceRule, heads: Sequence[Head], row: Features) -> Features:
    """The features of a rule's own heads among those of all."""
    used = [heads.index(head) for head in rule.heads]
    return (*row[:4], *(row[4 + i] for i in used), *(row[4 + len(heads) + i] for i in used))


def _features(ranker: AttentionRanker, query: str, texts: Sequence[str]) -> Features:
    attention = ranker.attention(query, texts)
    masses = chunk_masses(attention, ranker.profile.chunk_weights)
    rule, known = ranker.profile.evidence, ranker.profile.all_heads
    by_head = head_masses(attention, [known.index(head) for head in rule.heads])
    return rule.features(masses, [chunk.shape[1] for chunk in attention.chunks], by_head)


def fit_context(model: str, profile: HeadProfile) -> tuple[Head, ...]:
    """The head that picks most antecedents; heads deeper than are read anyway do not take part."""
    heads = _heads_up_to(model, profile.last_layer)
    ranker = _reading(model, profile, heads)
    right = picks_of_heads(ranker, fit_items()).mean(axis=0)
    best = np.argsort(-right, kind="stable")[:8]
    print("antecedents:", [(heads[i], round(float(right[i]), 3)) for i in best])
    return (heads[int(best[0])],)


def _heads_up_to(model: str, layer: int) -> list[Head]:
    return [head for head in all_heads(model) if head[0] <= layer]


def _reading(model: str, profile: HeadProfile, heads: Sequence[Head]) -> AttentionRanker:
    """A ranker that reads heads in the same way as the profile's."""
    reading = None if profile.direction is None else PointwiseReading(direction=profile.direction)
    return AttentionRanker.from_pretrained(
        model, heads=heads, layout=profile.layout, reading=reading
    )


if __name__ == "__main__":
    main()
