"""Single documents of some ten sentences, one of which says the answer: which method finds it.

python -m benchmarks.single DATA_FOLDER [--limit N] [--store FOLDER]

A document is the passage that answers, without its title, among other candidates of the query that
do not say the answer, until there are ten sentences. Queries are those that selected nothing and
whose document says the answer in one sentence only, which is the one to be found. Next to what
ships is what a conditional logit over the same heads would give, with the sentences competing for
each row of the query, with and without MiniLM's cosine; it is fitted on documents from the part of
`nq` that may select. What ships is also shown by its heads' weights alone, and with MiniLM's cosine
as with `embed_model`. Everything except what is fitted here is also tested on HotpotQA's labelled
sentences, which come from ten chunks per query.
"""

from __future__ import annotations

import argparse
import json
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from tqdm import tqdm

from attnmass import AttentionRanker
from attnmass.profiles.rules import log_relative
from attnmass.text.segmentation import segment
from attnmass.trimming import TokenCounter
from attnmass.trimming.embedding import with_cosines
from benchmarks.data import N_FIT, read_set
from benchmarks.late_fit import SENTENCES as LABELLED
from benchmarks.late_ranker import late_ranker
from benchmarks.metrics import cell
from benchmarks.sentence_baselines import BM25Sentences, MiniLMSentences
from benchmarks.sentence_data import Answered, read_answers, read_sentences
from benchmarks.sentence_metrics import auc, has_answer, normalize, share_kept
from benchmarks.spans import AttentionSpans, Spans, attention_by_span

RESULTS = Path(__file__).parent / "results" / "single.json"
SETS = ("nq", "musique")
SEVERAL = "hotpotqa, several chunks"
SENTENCES = 10
PERCENTS = (30, 50)
PENALTY = 0.003  # of squared weights, against the mean loss over documents

BY_WEIGHTS = "attnmass by weights"
EMBEDDED = "attnmass + MiniLM"
LOGIT = "a logit over heads"
FITTED = {  # by method, the columns that a logit weights
    LOGIT: ("heads",),
    f"{LOGIT} + MiniLM": ("heads", "cosine"),
}

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
Features = dict[str, Floats]  # by name, `[span, column]`


@dataclass(frozen=True, slots=True)
class Document:
    """A query and one text.

    Attributes:
        query: The question.
        text: The document.
        spans: Its sentences, `[start, end)` in characters.
        relevant: 1 for the one that says the answer, else 0.
    """

    query: str
    text: str
    spans: tuple[tuple[int, int], ...]
    relevant: tuple[int, ...]


def documents(folder: Path, name: str, part: slice) -> Iterator[Document]:
    """The documents of some queries of a set, of those that make one."""
    asked = list(zip(read_set(folder, name), read_answers(folder, name), strict=True))
    for number, (labelled, answered) in list(enumerate(asked))[part]:
        found = _document(answered, labelled.relevant, number)
        if found is not None:
            yield found


def _document(item: Answered, relevant: Sequence[int], number: int) -> Document | None:
    """The document of a query; `None` where the answer is not in exactly one sentence."""
    if not all(map(normalize, item.answers)):
        return None
    bodies = [text.partition("\n")[2] for text in item.texts]
    says = [has_answer([body], item.answers) for body in bodies]
    right = [i for i, yes in enumerate(relevant) if yes and says[i]]
    if len(right) != 1:
        return None
    chosen = [bodies[right[0]]]
    for body, speaks in zip(bodies, says, strict=True):
        if sum(len(segment(each)) for each in chosen) >= SENTENCES:
            break
        if not speaks:
            chosen.append(body)
    random.Random(number).shuffle(chosen)
    text = "\n\n".join(chosen)
    spans = tuple((each.start, each.end) for each in segment(text))
    labels = tuple(int(has_answer([text[start:end]], item.answers)) for start, end in spans)
    return Document(item.query, text, spans, labels) if sum(labels) == 1 else None


class Scorers:
    """All that scores the sentences of a document."""

    def __init__(self, ranker: AttentionRanker) -> None:
        """Load what a ranker is compared with."""
        self._ranker = ranker
        self._shipped = AttentionSpans(ranker)
        rule = replace(ranker.profile.span_rule, exponents=())
        self._weighted = AttentionSpans(ranker, rule)
        self._bm25, self._minilm = BM25Sentences(), MiniLMSentences()
        self._weights: dict[str, Floats] = {}

    def fit(self, items: Sequence[Document]) -> dict[str, list[float]]:
        """Fit the weights that are to be fitted, and return them."""
        found = [self._features(item) for item in tqdm(items, desc="to fit")]
        labels = [np.array(item.relevant, dtype=bool) for item in items]
        for method, names in FITTED.items():
            rows = [_columns(each, names) for each in found]
            self._weights[method] = conditional_logit(rows, labels)
        return {name: [round(float(x), 4) for x in found] for name, found in self._weights.items()}

    def __call__(self, item: Document) -> dict[str, Floats]:
        """Scores of each method, `[span]`."""
        found = self._features(item)
        shipped, cosine = found["shipped"][:, 0], found["cosine"][:, 0]
        return {
            "attnmass": shipped,
            BY_WEIGHTS: np.array(self._weighted(item.query, [item.text], [item.spans])[0]),
            EMBEDDED: with_cosines(shipped, cosine, self._ranker.profile.cosine_weight),
            **{
                method: _columns(found, names) @ self._weights[method]
                for method, names in FITTED.items()
            },
            "MiniLM cosine": cosine,
            "BM25": np.array(self._bm25(item.query, [item.text], [item.spans])[0]),
        }

    def of_several(
        self, query: str, texts: Sequence[str], spans: Spans
    ) -> dict[str, list[list[float]]]:
        """The same for several chunks, by what was not fitted here, `[chunk][span]`."""
        shipped, weighted, cosines, words = (
            scorer(query, texts, spans)
            for scorer in (self._shipped, self._weighted, self._minilm, self._bm25)
        )
        weight = self._ranker.profile.cosine_weight
        both = [
            with_cosines(np.array(score), np.array(cosine), weight).tolist()
            for score, cosine in zip(shipped, cosines, strict=True)
        ]
        return {
            "attnmass": shipped,
            BY_WEIGHTS: weighted,
            EMBEDDED: both,
            "MiniLM cosine": cosines,
            "BM25": words,
        }

    def _features(self, item: Document) -> Features:
        asked = item.query, [item.text], [item.spans]
        ((_, masses, _),) = attention_by_span(self._ranker, *asked)
        shipped = np.array(self._shipped(*asked)[0])
        cosine = np.array(self._minilm(*asked)[0])
        return {
            "shipped": shipped[:, None],
            "heads": np.array([log_relative(row) for row in masses.tolist()]).T,
            "cosine": cosine[:, None],
        }


def _columns(found: Features, names: Sequence[str]) -> Floats:
    return np.hstack([found[name] for name in names])


def conditional_logit(
    items: Sequence[Floats],
    labels: Sequence[npt.NDArray[np.bool_]],
    counting: Sequence[float] | None = None,
    penalty: float = PENALTY,
) -> Floats:
    """Weights `[column]` under which the labelled one of each item's rows is likeliest.

    Args:
        items: `[row, column]` each.
        labels: `[row]` each.
        counting: How much each item counts; default: all equally.
        penalty: That on squared weights.
    """
    counted = np.ones(len(items)) if counting is None else np.asarray(counting)
    shares = (counted / counted.sum()).tolist()

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = penalty * float(weights @ weights), 2 * penalty * weights
        for rows, right, share in zip(items, labels, shares, strict=True):
            logits = rows @ weights
            value -= share * float(log_softmax(logits)[right].mean())
            slope = slope - share * (rows[right].mean(axis=0) - softmax(logits) @ rows)
        return value, slope

    return np.asarray(minimize(loss, np.zeros(items[0].shape[1]), jac=True).x)


def main() -> None:
    """Measure and store one row for each document and method."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with the JSON Lines files")
    parser.add_argument("--limit", type=int, default=150, help="queries of each set")
    parser.add_argument("--store", type=Path, help="where what was read is kept")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    with late_ranker(arguments) as ranker:
        count = TokenCounter(ranker._plain.as_reader())
        scorers = Scorers(ranker)
        to_fit = list(documents(arguments.data, "nq", slice(N_FIT["nq"])))
        weights = scorers.fit(to_fit)
        for name in SETS:
            part = slice(N_FIT[name], N_FIT[name] + arguments.limit)
            items = list(documents(arguments.data, name, part))
            for number, item in enumerate(tqdm(items, desc=name)):
                tokens = [count(item.text[start:end]) for start, end in item.spans]
                for method, found in scorers(item).items():
                    row = {"set": name, "document": number, "method": method}
                    rows.append(row | _measured(item.relevant, found.tolist(), tokens))
        several = read_sentences(arguments.data)[LABELLED[1] :][: arguments.limit]
        for number, asked in enumerate(tqdm(several, desc=SEVERAL)):
            told = scorers.of_several(asked.query, asked.texts, asked.spans)
            for method, parts in told.items():
                flat = [score for part in parts for score in part]
                row = {"set": SEVERAL, "document": number, "method": method}
                rows.append(row | _measured(asked.relevant, flat, asked.tokens(count)))
    about = {
        "heads": [list(head) for head in ranker.profile.all_heads],
        "fitted_on": len(to_fit),
        "weights": weights,
        "rows": rows,
    }
    text = json.dumps(about, separators=(",", ":")).replace("},{", "},\n{")
    arguments.out.write_text(f"{text}\n", encoding="utf-8")
    print(table(about))


def _measured(relevant: Sequence[int], scores: Sequence[float], tokens: Sequence[int]) -> Row:
    shares = {str(each): round(share_kept(relevant, scores, tokens, each), 5) for each in PERCENTS}
    return {"auc": round(auc(relevant, scores), 5), **shares}


def table(about: dict[str, Any]) -> str:
    """Area under ROC and documents whose sentence is kept, by method and set."""
    rows = about["rows"]
    heads = ["area under ROC", *(f"kept in {percent}%" for percent in PERCENTS)]
    lines = []
    for name in (*SETS, SEVERAL):
        mine = [row for row in rows if row["set"] == name]
        n = len({row["document"] for row in mine})
        what = "queries" if name == SEVERAL else "documents"
        lines += [f"| {name}, {n} {what} | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
        for method in dict.fromkeys(row["method"] for row in mine):
            found = [row for row in mine if row["method"] == method]
            cells = [
                cell([row[key] for row in found], count=False)
                for key in ("auc", *map(str, PERCENTS))
            ]
            lines.append(f"| {_SHOWN.get(method, method)} | {' | '.join(cells)} |")
        lines.append("")
    note = f"What is fitted is fitted on {about['fitted_on']} documents of other queries of nq."
    return "\n".join([*lines, note, ""])


_SHOWN = {
    "attnmass": "attnmass, as it ships",
    BY_WEIGHTS: "its heads by weights alone",
    LOGIT: f"{LOGIT}, fitted",
    f"{LOGIT} + MiniLM": f"{LOGIT} and MiniLM's cosine, fitted",
    EMBEDDED: "attnmass + MiniLM, as `embed_model` does",
}


if __name__ == "__main__":
    main()
