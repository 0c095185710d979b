"""How well scores find the supporting sentences, and whether trimming leaves the answer in.

Each function takes one query; `benchmarks.metrics.interval` gives the mean over queries.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from sklearn.metrics import roc_auc_score

PERCENTS = (10, 20, 30, 50)

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def auc(relevant: Sequence[int], scores: Sequence[float]) -> float:
    """Area under ROC over all sentences of one query; ties count half.

    Raises:
        ValueError: If all sentences, or none, are relevant: then there is no such area.
    """
    if len(set(relevant)) != 2:
        raise ValueError("the area under ROC needs relevant sentences and others")
    return float(roc_auc_score(list(relevant), list(scores)))


def kept(scores: Sequence[float], tokens: Sequence[int], percent: int) -> list[int]:
    """The best sentences that fit into a share of the tokens of all sentences, best first.

    Sentences are taken from the best down, ties in input order, up to the first that would exceed
    the bound; that one is left out, and so is everything below it. So what a tighter bound keeps is
    always part of what a wider one keeps, and whoever ranks long sentences first pays for it;
    packing shorter ones into the rest would also measure the packing.

    Args:
        scores: One for each sentence.
        tokens: Length of each sentence.
        percent: The bound, in percent of the sum of `tokens`, inclusive.
    """
    bound = percent * sum(tokens)
    best: list[int] = []
    used = 0
    for index in sorted(range(len(scores)), key=lambda i: -scores[i]):
        used += tokens[index]
        if 100 * used > bound:
            break
        best.append(index)
    return best


def share_kept(
    relevant: Sequence[int], scores: Sequence[float], tokens: Sequence[int], percent: int
) -> float:
    """Share of the supporting sentences among those `kept`.

    Raises:
        ValueError: If no sentence is relevant.
    """
    if not any(relevant):
        raise ValueError("no sentence is relevant")
    return sum(relevant[i] for i in kept(scores, tokens, percent)) / sum(relevant)


def normalize(text: str) -> str:
    """Lower-cased, without ASCII punctuation and articles, with single white space.

    The definition of SQuAD's evaluation script (Rajpurkar et al., arXiv 1606.05250).
    """
    bare = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def has_answer(texts: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether one of the texts says one of the answers, both normalised, in whole words.

    Whole words, because contexts are long and some answers are short: "14" is not in "1492".

    Raises:
        ValueError: If nothing of an answer is left after it is normalised.
    """
    wanted = [normalize(answer) for answer in answers]
    if not all(wanted):
        raise ValueError(f"an answer has no words: {list(answers)!r}")
    said = [f" {normalize(text)} " for text in texts]
    return any(f" {answer} " in text for answer in wanted for text in said)


def answer_survives(
    before: Sequence[str], after: Sequence[str], answers: Sequence[str]
) -> bool | None:
    """Whether trimming leaves an answer; `None` where there was none to lose.

    Args:
        before: The candidates.
        after: The kept text of each candidate that is kept.
        answers: Any one of them will do.
    """
    return has_answer(after, answers) if has_answer(before, answers) else None
