"""From one query's attention to a ranking of whole chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attnmass.engine.asking import Asked
from attnmass.engine.thresholds import least_relevance, threshold_of
from attnmass.engine.tracing import trace
from attnmass.layouts import QueryAttention
from attnmass.options.checks import finite
from attnmass.options.choices import RankBy
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.evidence import best_evidence
from attnmass.scoring.masses import chunk_scores, head_masses, relevances, stability
from attnmass.scoring.selection import Parts, cut, kind_of, rank
from attnmass.text.inputs import Inputs
from attnmass.text.tokens import Tokens


def make_ranking(
    query: str,
    tokens: Tokens,
    attention: QueryAttention,
    inputs: Inputs,
    n_windows: Mapping[int, int],
    selection: Asked,
    profile: HeadProfile,
    rank_by: RankBy,
    ignored: Mapping[int, Sequence[int]],
) -> Ranking:
    """What one query's attention says of whole chunks.

    Args:
        query: As the caller passed it.
        tokens: Its tokens.
        attention: Its attention on the chunks that were read.
        inputs: The chunks.
        n_windows: Windows of each chunk that was read, by input index.
        selection: Which chunks are kept, in which order.
        profile: The heads that were read.
        rank_by: What chunks are ordered by.
        ignored: As in `LayoutOptions`, for this query.

    Returns:
        The ranking, untimed and without notes.
    """
    shares, masses = chunk_scores(attention, profile)
    likely = relevances(attention, profile)
    logits = attention.logits
    parts = {
        index: Parts(
            mass=masses[place],
            share=shares[place],
            n_tokens=len(inputs.tokens[index]),
            n_windows=n_windows[index],
            relevance=None if likely is None else likely[place],
            logit=None if logits is None else logits[place],
            text=place,
        )
        for index, place in inputs.places.items()
    }
    if likely is None:
        evidence = by_masses(attention, inputs, profile, masses)
    else:
        evidence = by_relevance(likely, inputs, selection, profile, ignored)
    threshold = threshold_of(selection, profile)
    no_evidence = bool(masses) and threshold is not None and evidence < threshold
    ranked = rank(
        selection,
        inputs.chunks,
        parts,
        inputs.skipped,
        rank_by,
        profile.fusing,
        knows_relevance=profile.relevance is not None,
    )
    scores = {chunk.index: chunk.score for chunk in ranked}
    kept, dropped = cut(selection, ranked, no_evidence, least_relevance(selection, profile))
    return Ranking(
        query=query,
        chunks=tuple(kept),
        scores=tuple(scores[index] for index in range(len(inputs.chunks))),
        profile=profile,
        timings=Timings(0.0, 0.0, 0.0, 0.0),
        evidence=evidence,
        no_evidence=no_evidence,
        dropped=tuple(dropped),
        trace=trace(query, tokens, inputs, attention, threshold),
        stability=stability(attention, profile),
    )


def by_relevance(
    likely: Sequence[float],
    inputs: Inputs,
    selection: Asked,
    profile: HeadProfile,
    ignored: Mapping[int, Sequence[int]],
) -> float:
    """Evidence by the relevance of each text, and by the retriever's scores where they are fused.

    The score of a text that repeats the question is left aside: it is of the question.
    """
    scores = selection.retrieval_scores if selection.fuse else None
    places = inputs.places
    given = [
        None if scores is None or place in ignored else finite(scores[index])
        for index, place in places.items()
    ]
    relevance = [likely[place] for place in places.values()]
    return best_evidence(relevance, given, kind_of(selection), profile.fusing)


def by_masses(
    attention: QueryAttention, inputs: Inputs, profile: HeadProfile, masses: Sequence[float]
) -> float:
    """Evidence where no relevance is known, by the masses of all texts."""
    rule, known = profile.evidence, profile.all_heads
    by_head = head_masses(attention, [known.index(head) for head in rule.heads])
    return rule(masses, [len(tokens) for tokens in inputs.distinct], by_head)
