"""From one query's attention to a ranking of whole chunks."""

from __future__ import annotations

from collections.abc import Mapping

from attnmass.engine.tracing import trace
from attnmass.layouts import QueryAttention
from attnmass.options.choices import RankBy
from attnmass.options.selection import Selection
from attnmass.profiles import HeadProfile
from attnmass.results.ranking import Ranking, Timings
from attnmass.scoring.masses import chunk_scores, head_masses, stability
from attnmass.scoring.selection import cut, rank
from attnmass.text.inputs import Inputs
from attnmass.text.tokens import Tokens


def make_ranking(
    query: str,
    tokens: Tokens,
    attention: QueryAttention,
    inputs: Inputs,
    n_windows: Mapping[int, int],
    selection: Selection,
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
    scored = dict(zip(inputs.tokens, masses, strict=True))
    shared = dict(zip(inputs.tokens, shares, strict=True))
    said = attention.logits
    logits = None if said is None else dict(zip(inputs.tokens, said, strict=True))
    n_tokens = {index: len(found) for index, found in inputs.tokens.items()}
    rule, known = profile.evidence, profile.all_heads
    by_head = head_masses(attention, [known.index(head) for head in rule.heads])
    evidence = rule(masses, list(n_tokens.values()), by_head)
    threshold = threshold_of(selection, profile)
    no_evidence = bool(masses) and threshold is not None and evidence < threshold
    ranked = rank(
        selection,
        inputs.texts,
        scored,
        shared,
        n_tokens,
        n_windows,
        inputs.skipped,
        logits,
        rank_by,
    )
    scores = {chunk.index: chunk.score for chunk in ranked}
    kept, dropped = cut(selection, ranked, no_evidence)
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


def threshold_of(selection: Selection, profile: HeadProfile) -> float | None:
    """Less evidence than this is none: as the user says, else the profile's; `None` for none."""
    if selection.evidence_threshold is not None:
        return selection.evidence_threshold
    return profile.evidence.threshold
