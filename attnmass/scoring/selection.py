"""Chunks in order of their scores, and which of them are kept: no model, no tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from attnmass.options.choices import RankBy
from attnmass.options.selection import Selection
from attnmass.scoring.order import fuse, log_masses, order, sigmoid
from attnmass.scoring.ranked import RankedChunk


def rank(
    selection: Selection,
    texts: Mapping[int, str],
    masses: Mapping[int, float],
    shares: Mapping[int, float],
    n_tokens: Mapping[int, int],
    n_windows: Mapping[int, int],
    skipped: Mapping[int, str],
    logits: Mapping[int, float] | None = None,
    rank_by: RankBy = "attention",
) -> list[RankedChunk]:
    """All chunks, best first; those that were not scored come last.

    Args:
        selection: What was asked for.
        texts: The chunks' own texts by input index, `""` for what is no text.
        masses: Attention mass by input index, of the chunks that were scored, in input order.
        shares: The mass of all of them as the profile shares it out, likewise.
        n_tokens: Tokens, likewise.
        n_windows: Windows, likewise.
        skipped: Why the others were not scored, by input index.
        logits: What a classification head says, likewise, where one was asked.
        rank_by: What chunks are ordered by. Without `"attention"` alone, scores are the
            sigmoids of the logits; `"both"` weighs the z-scores of logit and of the share's
            logarithm alike.
    """
    indices = list(masses)
    keys = list(shares.values())
    # Many masses are small and a few large: a z-score says more of their logarithms.
    blended = log_masses(keys)
    scores: Mapping[int, float] = shares
    given = selection.retrieval_scores
    fused: dict[int, float] = {}
    if logits is not None and rank_by != "attention":
        scores = {index: sigmoid(logit) for index, logit in logits.items()}
        said = [logits[index] for index in indices]
        if rank_by == "logit":
            keys = blended = said
        elif indices:
            keys = blended = fuse(blended, said, 0.5)
            fused = dict(zip(indices, keys, strict=True))
    if selection.fuse is not None and given is not None and indices:
        keys = fuse(blended, [float(given[i] or 0.0) for i in indices], selection.fuse)
        fused = dict(zip(indices, keys, strict=True))

    def retrieval(index: int) -> float | None:
        score = None if given is None else given[index]
        return None if score is None else float(score)

    ranked = [
        RankedChunk(
            index=i,
            score=scores[i],
            mass=masses[i],
            logit=None if logits is None else logits[i],
            n_tokens=n_tokens[i],
            n_windows=n_windows[i],
            retrieval_score=retrieval(i),
            fused_score=fused.get(i),
            text=texts[i],
        )
        for i in (indices[place] for place in order(keys))
    ]
    ranked += [
        RankedChunk(
            index=i,
            score=0.0,
            n_tokens=0,
            retrieval_score=retrieval(i),
            skipped=why,
            text=texts[i],
        )
        for i, why in sorted(skipped.items())
    ]
    return ranked


def cut(
    selection: Selection, ranked: Sequence[RankedChunk], no_evidence: bool = False
) -> tuple[list[RankedChunk], list[RankedChunk]]:
    """Cut by evidence, then by `score_threshold`, then by `top_n`; then order what is left.

    Args:
        selection: What was asked for.
        ranked: From `rank`.
        no_evidence: Whether there is too little.

    Returns:
        What is kept, in the order asked for, and what is dropped, best first, with its reason.
    """
    kept: list[RankedChunk] = []
    dropped: list[RankedChunk] = []
    for chunk in ranked:
        why = None
        if no_evidence and selection.on_no_evidence != "keep":
            why = "no_evidence"
        elif selection.score_threshold is not None and chunk.score < selection.score_threshold:
            why = "score_threshold"
        elif len(kept) == selection.top_n:
            why = "top_n"
        (dropped if why else kept).append(replace(chunk, dropped=why))
    if selection.order == "input":
        kept.sort(key=lambda chunk: chunk.index)
    elif selection.order == "best_last":
        kept.reverse()
    return kept, dropped
