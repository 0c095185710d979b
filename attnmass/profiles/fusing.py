"""How attention and a retriever's order are weighed against each other."""

from __future__ import annotations

from dataclasses import dataclass

from attnmass.options.checks import check_finite


@dataclass(frozen=True, slots=True)
class FuseRule:
    """A conditional logit of two logarithms, by what kind of scores a retriever has.

    A chunk's logit is `a * log(share) - r * log(rank)`, where `share` is its share of the attention
    and `rank` its place in the retriever's order, from 1; `(a, r)` were fitted for each kind. Of
    a retriever's scores only the order counts, so that it does not matter on what scale they are.

    Attributes:
        embedding: For cosines and other similarities in [-1, 1], and for distances.
        lexical: For scores such as BM25's, which go beyond 1.
        ranks: For all else, such as ranks and sums of reciprocal ranks.

    Raises:
        TypeError: If a number is none.
        ValueError: If it is not finite.
    """

    embedding: tuple[float, float]
    lexical: tuple[float, float]
    ranks: tuple[float, float]

    def __post_init__(self) -> None:
        for name in ("embedding", "lexical", "ranks"):
            found = getattr(self, name)
            if len(found) != 2:
                raise ValueError(f"{name} must be two numbers, not {found!r}")
            for value in found:
                check_finite(name, value)
