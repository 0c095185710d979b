"""Chunks in order of their scores, and which of them are kept: no model, no tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from attnmass.options.choices import Order, RankBy, RetrievalKind
from attnmass.options.selection import Selection
from attnmass.profiles.fusing import FuseRule
from attnmass.scoring.fusing import Retrieved, fused, retrieved
from attnmass.scoring.order import fuse, log_masses, order, sigmoid, softmax
from attnmass.scoring.ranked import RankedChunk
from attnmass.text.chunk import Chunk


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known of a chunk before chunks are ordered.

    Attributes:
        mass: Attention mass.
        share: Its share of the mass of all chunks, as the profile shares it out.
        n_tokens: Tokens.
        n_windows: Windows.
        relevance: See `RankedChunk.relevance`.
        logit: What a classification head says, where one was asked.
        text: The number of the text that it is a copy of, or of its own: copies have the same
            number.
        echoes: Whether it says nothing besides the question. It then comes after the others with
            score 0.0, whatever a retriever says, and has no part in their scores.
    """

    mass: float
    share: float
    n_tokens: int
    n_windows: int = 1
    relevance: float | None = None
    logit: float | None = None
    text: int = 0
    echoes: bool = False


def rank(
    selection: Selection,
    chunks: Sequence[Chunk],
    parts: Mapping[int, Parts],
    skipped: Mapping[int, str],
    rank_by: RankBy = "attention",
    rule: FuseRule | None = None,
    *,
    words: Sequence[float] | None = None,
    knows_relevance: bool = False,
) -> list[RankedChunk]:
    """All chunks, best first; those that were not scored come last.

    Mass that is below zero, where a null query's was subtracted, gives a score of 0, like that of
    what was not scored; the order is still by how far below zero it is.

    Args:
        selection: What was asked for.
        chunks: All of them; what is not text has the text `""`.
        parts: Those of the chunks that were scored, by input index, in input order.
        skipped: Why the others were not scored, by input index.
        rank_by: What chunks are ordered by; `"both"` weights the z-scores of the logit and of the
            share's logarithm equally.
        rule: How attention and a retriever's scores are fused where `fuse` is `"auto"`.
        words: BM25 of each text, which counts where there are neither a retriever's scores nor a
            logit.
        knows_relevance: Whether there is such a number; what was not scored then has 0 of it.
    """
    given = selection.retrieval_scores
    scored = {index: one for index, one in parts.items() if not one.echoes}
    # Texts are compared, not chunks: a copy takes nothing from the others.
    firsts = {one.text: one for one in reversed(list(scored.values()))}
    of_text = [firsts[text] for text in sorted(firsts)]
    place = {text: number for number, text in enumerate(sorted(firsts))}
    found = _by_text(scored, place, given)
    said = None if words is None else [words[text] for text in place]
    keys, scores = _scores(selection, of_text, found, rank_by, rule, said)

    def retrieval(index: int) -> float | None:
        score = None if given is None else given[index]
        return None if score is None else float(score)

    indices = list(scored)
    by_key = [indices[i] for i in order([keys[place[one.text]] for one in scored.values()])]
    ranked = [
        RankedChunk(
            index=i,
            score=0.0 if parts[i].echoes else scores[place[parts[i].text]],
            share=max(0.0, parts[i].share),
            mass=parts[i].mass,
            relevance=parts[i].relevance,
            logit=parts[i].logit,
            n_tokens=parts[i].n_tokens,
            n_windows=parts[i].n_windows,
            retrieval_score=retrieval(i),
            text=chunks[i].text,
            metadata=chunks[i].metadata,
        )
        for i in (*by_key, *(i for i, one in parts.items() if one.echoes))
    ]
    ranked += [
        RankedChunk(
            index=i,
            score=0.0,
            n_tokens=0,
            relevance=0.0 if knows_relevance else None,
            retrieval_score=retrieval(i),
            skipped=why,
            text=chunks[i].text,
            metadata=chunks[i].metadata,
        )
        for i, why in sorted(skipped.items())
    ]
    return ranked


def _scores(
    selection: Selection,
    texts: Sequence[Parts],
    given: Sequence[float] | None,
    rank_by: RankBy,
    rule: FuseRule | None,
    words: Sequence[float] | None,
) -> tuple[Sequence[float], Sequence[float]]:
    """What texts are ordered by, and their scores in [0, 1], which never contradict it."""
    shares = [one.share for one in texts]
    if not texts:
        return [], []
    # Many masses are small and a few large: z-scores of their logarithms say more.
    attention = log_masses(shares)
    keys, scores = shares, [max(0.0, share) for share in shares]
    logits = [one.logit for one in texts if one.logit is not None]
    if rank_by != "attention" and len(logits) == len(texts):
        keys, scores, attention = logits, [sigmoid(logit) for logit in logits], logits
        if rank_by == "both":
            keys = attention = fuse(log_masses(shares), logits, 0.5)
            scores = softmax(keys)
    found = None
    if given is not None and selection.fuse:
        found = retrieved(given, attention, kind_of(selection))
    elif words is not None and keys is shares:
        found = Retrieved(tuple(words), "words")
    if found is None:
        return keys, scores
    if not isinstance(selection.fuse, str):
        assert selection.fuse is not None
        keys = fuse(attention, found.scores, selection.fuse)
    elif rule is not None:
        keys = fused(attention, found, rule)
    else:
        return keys, scores
    return keys, softmax(keys)


def kind_of(selection: Selection) -> RetrievalKind:
    """What a retriever's scores are, as the caller says; whoever fuses by a number knows them."""
    if selection.retrieval_kind == "auto" and not isinstance(selection.fuse, str):
        return "similarity"
    return selection.retrieval_kind


def _by_text(
    parts: Mapping[int, Parts],
    place: Mapping[int, int],
    given: Sequence[float | None] | None,
) -> list[float] | None:
    """A retriever's scores of texts, in the order of their first; `None` where a chunk has none.

    Of copies the first counts, for which a retriever has the better score.
    """
    if given is None:
        return None
    found: dict[int, float] = {}
    for index, one in parts.items():
        score = given[index]
        if score is None or not math.isfinite(score):
            return None
        found.setdefault(place[one.text], float(score))
    return [found[number] for number in sorted(found)]


def cut(
    selection: Selection,
    ranked: Sequence[RankedChunk],
    no_evidence: bool = False,
    min_relevance: float | None = None,
) -> tuple[list[RankedChunk], list[RankedChunk]]:
    """Cut by evidence, then by relevance, then by `top_n`; then order what is left.

    Args:
        selection: What was asked for.
        ranked: From `rank`.
        no_evidence: Whether there is too little.
        min_relevance: Chunks of less relevance are dropped; it does not apply to those without a
            relevance.

    Returns:
        What is kept, in the order asked for, and what is dropped, best first, with its reason.
    """
    kept: list[RankedChunk] = []
    dropped: list[RankedChunk] = []
    for chunk in ranked:
        why = None
        if no_evidence and selection.on_no_evidence != "keep":
            why = "no_evidence"
        elif min_relevance is not None and (
            chunk.relevance is not None and chunk.relevance < min_relevance
        ):
            why = "min_relevance"
        elif len(kept) == selection.top_n:
            why = "top_n"
        (dropped if why else kept).append(replace(chunk, dropped=why))
    return arranged(kept, selection.order), dropped


def arranged(chunks: Sequence[RankedChunk], order: Order) -> list[RankedChunk]:
    """Chunks that come best first in the order asked for."""
    if order == "input":
        return sorted(chunks, key=lambda chunk: chunk.index)
    return list(chunks[::-1] if order == "best_last" else chunks)


def best_first(chunk: RankedChunk) -> tuple[bool, float, int]:
    """What chunks that were separated are sorted by: by score, what was not scored last."""
    return chunk.skipped is not None, -chunk.score, chunk.index
