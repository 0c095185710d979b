"""Whether anything here answers, by relevance and by a retriever's scores: numbers in, one out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from attnmass.options.choices import RetrievalKind
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.order import sigmoid

# Scores that may be cosines of what answers. Below lie sums of reciprocal ranks, and what chunks of
# other questions score; above, by more than the error of half precision, BM25's and inner products.
_LEAST, _MOST = 0.1, 1.01
# Log-odds that a score adds to relevance, or takes from it, at most. Retrievers have other scales
# than the one that the weights are fitted to: with some embedders all cosines are high, and some
# searches scale the best to 1.
_BOUND = 1.5
_ROUNDING = 1e-12  # probabilities are at least this far from 0 and 1


def evidence_of(
    relevance: Sequence[float],
    given: Sequence[float | None],
    kind: RetrievalKind,
    rule: FuseRule | None,
) -> list[float]:
    """Each chunk's evidence: its relevance, or where it has a cosine, what both say.

    Each depends on its own two numbers alone, so that no further chunk changes it, whatever the
    order. What a retriever's scores are could only be guessed from all of them together, and a
    further chunk would change the guess. So each score counts that may be a cosine, and within
    bounds.

    Args:
        relevance: Of each chunk, in [0, 1].
        given: The retriever's score of each; `None` where there is none that counts.
        kind: What the caller says about them; distances and ranks do not count.
        rule: The profile's; without `FuseRule.evidence`, relevance alone counts.
    """
    weights = None if rule is None else rule.evidence
    if weights is None or kind in ("distance", "rank"):
        return list(relevance)
    pairs = zip(relevance, given, strict=True)
    return [by_both(one, score, weights) for one, score in pairs]


def covered(
    each: Sequence[float],
    found: Sequence[int],
    threshold: float,
    by_pairs: Callable[[Sequence[int]], Iterable[float]],
    exponent: float,
) -> float:
    """The best chunk's evidence, less where the query asks for what no two chunks say.

    The amount by which a chunk's log-odds exceed those of the threshold is multiplied by the share
    of the query's words that it says together with one other that passes, to some power, and the
    largest counts: for a question about two things both should be there, while a thousand chunks
    that have little to do with it say every word between them. So what is evidence stays evidence,
    a further chunk never lowers it, and one that does not pass, such as noise with many words, adds
    nothing.

    Args:
        each: Evidence of each chunk, in [0, 1].
        found: Which of the query's words each says, as `QueryWords.found`.
        threshold: The profile's, between 0 and 1.
        by_pairs: Shares of words that were found, `QueryWords.by_pairs`.
        exponent: That of the shares, at least 0.
    """
    best = max(each, default=0.0)
    if best < threshold:
        return best
    # Of chunks that say the same words, only the best counts.
    strongest: dict[int, float] = {}
    for one, words in zip(each, found, strict=True):
        if one >= threshold:
            strongest[words] = max(one, strongest.get(words, threshold))
    ranked = sorted(strongest.items(), key=itemgetter(1), reverse=True)
    least, above = log_odds(threshold), 0.0
    shares = by_pairs([words for words, _ in ranked])
    for (_, one), share in zip(ranked, shares, strict=True):
        alone = log_odds(one) - least
        if alone <= above:  # nor can a weaker one be above it, whatever is said beside it
            break
        above = max(above, alone * share**exponent)
    return max(threshold, sigmoid(least + above))


def may_be_cosine(score: float) -> bool:
    """Whether a retriever's score counts in evidence."""
    return _LEAST < score <= _MOST


def by_both(relevance: float, score: float | None, weights: tuple[float, float, float]) -> float:
    """A chunk's evidence, see `FuseRule.evidence`.

    Args:
        relevance: Its relevance, in [0, 1].
        score: The retriever's, which counts above 0.1 and up to 1.
        weights: The profile's.
    """
    if score is None or not may_be_cosine(score):
        return relevance
    of_relevance, of_score, bias = weights
    alone = log_odds(relevance)
    both = of_relevance * alone + of_score * score + bias
    return sigmoid(min(max(both, alone - _BOUND), alone + _BOUND))


def log_odds(probability: float) -> float:
    """The inverse of the logistic function, bounded."""
    held = min(max(probability, _ROUNDING), 1 - _ROUNDING)
    return math.log(held / (1 - held))
