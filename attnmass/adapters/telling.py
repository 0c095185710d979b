"""What a reranker of any framework writes into the metadata of what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnmass.adapters.remote import model_name
from attnmass.results import hidden

if TYPE_CHECKING:
    from attnmass.adapters.fields import RankerFields
    from attnmass.results.ranking import Ranking
    from attnmass.scoring.ranked import RankedChunk


def tell(rerank: RankerFields, ranking: Ranking, chunk: RankedChunk, place: int) -> dict[str, Any]:
    """What is known of a candidate that stood at `place`, as far as the reranker is to say it."""
    if rerank.add_scores:
        model = model_name(rerank.model, ranking)
        return hidden.describe(ranking, chunk, place=place, model=model)
    return hidden.describe_retrieval(chunk) if rerank.keep_retrieval_score else {}


def tell_of_trim(
    rerank: RankerFields, chunk: RankedChunk, original: str, offset: int | None, separator: str
) -> dict[str, Any]:
    """What trimming left of a candidate; `offset` and `separator` as in `hidden.describe_trim`."""
    return hidden.describe_trim(
        chunk,
        original,
        offset=offset,
        separator=separator,
        add_scores=rerank.add_scores,
        keep_original=rerank.keep_original,
    )
