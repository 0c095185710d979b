"""A quick choice of heads for a model that nobody has fitted: seconds, and no labels.

A few dozen sentences are taken out of the texts that ship, and each head is asked what share of its
mass goes to the chunk that a sentence was taken out of. Those with the highest likelihood, the mean
logarithm of that share (which is what a conditional logit model of one head is fitted by), are
read, all weighted equally. A rule shares mass out, fitted as it would be on many more sentences
(`attnmass.fitting.shares.made`): over all heads on the same key heads where chunks are read once
for all queries, over all heads where each chunk is read with the query. Where all are in one
context (`joint`), there is none.

Such heads may not rank as well as BM25 does, so the order is by both: a retriever's scores are
weighted more than with fitted heads, and without any, the query's words count (`UNFITTED`).
"""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from typing import Any

import numpy as np

from attnmass.errors import AttnMassError
from attnmass.fitting.captures.arrays import Arrays, Quality
from attnmass.fitting.captures.capture import look_at_heads
from attnmass.fitting.captures.store import Capture
from attnmass.fitting.heads.crossval import split_folds
from attnmass.fitting.heads.methods import Task, likelihood
from attnmass.fitting.keeping import name_of, newest, read_kept, state_of, write_kept
from attnmass.fitting.metrics import Integers, auc
from attnmass.fitting.queries.cloze import cloze_queries
from attnmass.fitting.queries.items import LabelledQuery
from attnmass.fitting.shares.made import MadeSharing
from attnmass.layouts.joint import JointLayout
from attnmass.layouts.late import LateLayout
from attnmass.layouts.parallel import ParallelLayout
from attnmass.models.kinds import unwrapped
from attnmass.models.sizes import every_head, fingerprint, key_head_of
from attnmass.models.untrained import is_untrained
from attnmass.models.view import find_config
from attnmass.profiles import HeadProfile, RankRule
from attnmass.profiles.fusing import UNFITTED, UNFITTED_PAIRS
from attnmass.profiles.kept import kept_folder
from attnmass.profiles.rules import Head
from attnmass.profiles.texts import ordinary_documents
from attnmass.ranker import AttentionRanker
from attnmass.text.tokens import PlainTokenizer

SOURCE = "quick choice"

_VERSION = 4  # of how heads are chosen
_A_DOCUMENT = 4  # sentences
_QUERIES = 24
_HEADS = 8
_FOLDS = 3
_ERRORS = 3.0  # standard errors by which a choice must beat chance, on queries that did not make it
# Where chunks are read once for all queries, all compete with all; else there are this few.
_READ_ONCE = (LateLayout.name, ParallelLayout.name)
_MORE_QUERIES = 48
_FEW = 8

_logger = getLogger(__name__)


def choose_quickly(model: Any, tokenizer: Any, default: HeadProfile) -> HeadProfile | None:
    """Heads in the layers that the default profile runs, or what was found earlier and kept.

    A whole fit that is kept for the model (see `attnmass.fitting.first_use`) comes first.

    What is chosen is kept in the user's cache folder, for the model's state, layout and prompt, and
    found again by every process that has that model, however it was loaded.

    Args:
        model: As `AttentionRanker` takes it.
        tokenizer: Its tokenizer.
        default: Its default profile.

    Returns:
        `None` where no heads stand out on queries that did not choose them, as with random weights,
        or where a layer in between cannot be read; then nothing is kept.
    """
    if is_untrained(unwrapped(model)):
        return None
    config = find_config(model)
    about = state_of(model, default)
    fitted = newest(kept_folder(), about, config, default.layout)
    if fitted is not None:
        return fitted
    file = kept_folder() / f"{name_of(about, version=_VERSION)}.json"
    known = read_kept(file, config, default.layout, SOURCE)
    if known is not None:
        return known
    heads = [head for head in every_head(config) if head[0] <= default.last_layer]
    try:
        ranker = AttentionRanker(
            model, tokenizer, heads=heads, layout=default.layout, rank_by="attention"
        )
        arrays = _captured(ranker, PlainTokenizer(tokenizer), default.layout)
    except (AttnMassError, ValueError) as error:
        _logger.info("no heads are chosen for %s: %s", default.model, error)
        return None
    if not stands_out(arrays):
        return None
    chosen = _likeliest(arrays, np.arange(len(arrays.sets)))
    found = HeadProfile.from_heads(
        sorted(heads[i] for i in chosen),
        model=default.model,
        layout=default.layout,
        fingerprint=fingerprint(config),
        source=SOURCE,
        fitted_on=f"{len(arrays.sets)} sentences of the texts that ship",
        null_query=default.null_query,
        direction=ranker.profile.direction,
        ranking=_rule(arrays, chosen, heads, config, default.layout),
        fusing=UNFITTED if default.layout in _READ_ONCE else UNFITTED_PAIRS,
    )
    write_kept(file, found)
    return found


def _rule(
    arrays: Arrays, chosen: Sequence[int], heads: Sequence[Head], config: Any, layout: str
) -> RankRule | None:
    """How mass is shared out; `None`: each chunk's own mass."""
    if layout == JointLayout.name:
        return None
    wide = np.arange(len(heads))
    if layout in _READ_ONCE:  # on those key heads that are kept anyway
        keys = [key_head_of(config, head) for head in heads]
        kept = {keys[i] for i in chosen}
        wide = np.array([i for i, key in enumerate(keys) if key in kept], dtype=np.int64)
    sharing = MadeSharing(arrays, split_folds(arrays.sets, _FOLDS, 0), wide)
    (count,) = sharing.counts
    return sharing.path()[count].rule(heads)


def queries_for(layout: str) -> tuple[LabelledQuery, ...]:
    """The sentences, each with the chunks that it is asked of."""
    documents, once = ordinary_documents(), layout in _READ_ONCE
    most = _MORE_QUERIES if once else _QUERIES
    n_documents = most // _A_DOCUMENT
    some = [documents[i * len(documents) // n_documents] for i in range(n_documents)]
    n_chunks = sum(len(one.paragraphs) for one in some)
    return cloze_queries(some, most=most, candidates=n_chunks if once else _FEW)


def _captured(ranker: AttentionRanker, plain: PlainTokenizer, layout: str) -> Arrays:
    look = look_at_heads(ranker, plain)
    queries = queries_for(layout)
    return as_arrays(queries, [look(query) for query in queries])


def as_arrays(queries: Sequence[LabelledQuery], captures: Sequence[Capture]) -> Arrays:
    """What was captured of some queries: the mass of each of their chunks, less a null query's."""
    masses = [np.maximum(one.beyond_null, 0.0) for one in captures]
    nothing = [np.zeros(len(query.chunks)) for query in queries]
    relevant = [query.relevant for query in queries]
    return Arrays.stack(masses, relevant, nothing, [0] * len(queries))


def _likeliest(arrays: Arrays, rows: Integers) -> list[int]:
    """Indices of the heads with the highest likelihood on some queries, best first."""
    task = Task(rows, np.arange(arrays.masses.shape[1]), _HEADS)
    return list(likelihood(Quality(arrays), task)[-1].heads)


def stands_out(arrays: Arrays) -> bool:
    """Whether heads rank queries that did not choose them better than a random order would.

    Judged by the share of the other chunks that a relevant one is ranked above, which is uniform by
    chance: so its mean has a known error, and few queries are enough.
    """
    folds = split_folds(arrays.sets, _FOLDS, 0)
    before = np.zeros(len(folds))
    for row, fold in enumerate(folds):
        heads = _likeliest(arrays, np.flatnonzero(folds != fold))
        there = arrays.present[row]
        mass = arrays.masses[row, heads].astype(np.float64).sum(axis=0)[there]
        before[row] = auc(arrays.relevant[row, there] > 0, mass)
    least = 0.5 + _ERRORS / float(np.sqrt(12 * len(before)))
    return float(before.mean()) > least
