"""How attention is weighted against a retriever's scores, and against embeddings of spans."""

from __future__ import annotations

from dataclasses import dataclass

from attnmass.profiles.rules import check_number

# What a cosine weighs against the logarithm of a span's score where a profile does not say: as
# fitted for the late layout of smollm2-135m with all-MiniLM-L6-v2, by `benchmarks.embed_fit`.
COSINE_WEIGHT = 1.7
_NUMBERS = {"embedding": 2, "lexical": 2, "ranks": 2, "evidence": 3, "words": 2}
_OPTIONAL = ("evidence", "words")


@dataclass(frozen=True, slots=True)
class FuseRule:
    """A conditional logit of what attention and a retriever say, by the kind of its scores.

    A chunk's logit is `a * x + r * y`. `x` is the logarithm of its share of the attention, less the
    mean over the candidates, over the root of their variance and 0.25; `y` is the retriever's
    score, less the mean of the best 20, over their standard deviation. `(a, r)` were fitted for
    each kind. So the scale of scores does not matter, but how far they stand apart does. Ranks give
    the order alone: `y` is `-log(rank)`, ranks from 1.

    Attributes:
        embedding: For cosines and other similarities in [-1, 1], and for distances.
        lexical: For scores such as BM25's, which go beyond 1.
        ranks: For ranks and sums of reciprocal ranks.
        spans: The weight of the cosine of a span's embedding and the query's against the logarithm
            of the span's score, at least 0; see `attnmass.trimming.embedding.with_cosines`.
        evidence: A chunk's log-odds of evidence are the first times those of its relevance, plus
            the second times its cosine, plus the third, and at most 1.5 away from those of its
            relevance: a logistic regression, whose constant is such that
            `RelevanceRule.evidence_threshold` suits it. `None`: cosines play no part in evidence.
        words: `(a, r)` where the caller has no scores, for the query's words by BM25. `None`: the
            order is by attention alone then.

    Raises:
        TypeError: If a value is not a number.
        ValueError: If it is not finite, or `spans` is below 0.
    """

    embedding: tuple[float, float]
    lexical: tuple[float, float]
    ranks: tuple[float, float]
    spans: float = COSINE_WEIGHT
    evidence: tuple[float, float, float] | None = None
    words: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, count in _NUMBERS.items():
            found = getattr(self, name)
            if name in _OPTIONAL and found is None:
                continue
            if len(found) != count:
                raise ValueError(f"{name} must be {count} numbers, not {found!r}")
            for value in found:
                check_number(name, value)
        check_number("spans", self.spans)
        if self.spans < 0:
            raise ValueError(f"spans must be at least 0, not {self.spans:g}")


# Of profiles without a rule of their own: the mean of those that were fitted for three models.
ORDINARY = FuseRule(embedding=(1.17, 0.49), lexical=(1.46, 0.13), ranks=(1.3, 0.49))
# Of heads that were chosen in seconds. Where chunks are read once for all queries they rank about
# as well as BM25 does; where each is read with the query, or without a rule that shares mass out,
# worse.
UNFITTED = FuseRule((1.0, 1.0), (1.0, 0.5), (1.0, 1.0), words=(1.0, 0.5))
UNFITTED_PAIRS = FuseRule((1.0, 1.5), (1.0, 1.5), (1.0, 2.0), words=(1.0, 1.5))
