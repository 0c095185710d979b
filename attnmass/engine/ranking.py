"""From one query's attention to a ranking of whole chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attnmass.engine.asking import Asked
from attnmass.engine.thresholds import least_relevance, threshold_of
from attnmass.engine.tracing import trace
from attnmass.layouts import QueryAttention
from attnmass.options.choices import RankBy
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.masses import chunk_scores, head_masses, relevances, stability
from attnmass.scoring.selection import Parts, cut, rank
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
    evidence = evidence_of(attention, inputs, profile, masses, likely)
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


def evidence_of(
    attention: QueryAttention,
    inputs: Inputs,
    profile: HeadProfile,
    masses: Sequence[float],
    likely: Sequence[float] | None,
) -> float:
    """How much was found: the best relevance, which no further chunk lowers; else by the masses."""
    if likely is not None:
        return max(likely, default=0.0)
    rule, known = profile.evidence, profile.all_heads
    by_head = head_masses(attention, [known.index(head) for head in rule.heads])
    return rule(masses, [len(tokens) for tokens in inputs.distinct], by_head)
