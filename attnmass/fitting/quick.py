"""A quick choice of heads for a model that nobody has fitted: seconds, and no labels.

Two dozen sentences are taken out of the texts that ship, and each head is asked what share of its
mass goes to the chunk that a sentence was taken out of. Those with the highest likelihood, the mean
logarithm of that share (which is what a conditional logit model of one head is fitted by), are
read, all weighed alike: so few queries tell good heads, but not their weights.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from attnmass.errors import AttnMassError
from attnmass.fitting.arrays import Arrays, Quality
from attnmass.fitting.capture import look_at_heads
from attnmass.fitting.cloze import cloze_queries
from attnmass.fitting.crossval import split_folds
from attnmass.fitting.items import LabelledQuery
from attnmass.fitting.methods import Task, likelihood
from attnmass.fitting.metrics import Integers, auc
from attnmass.layouts.late import LateLayout
from attnmass.layouts.parallel import ParallelLayout
from attnmass.models.kinds import kind_of, unwrapped
from attnmass.models.seen import Seen
from attnmass.models.sizes import every_head, fingerprint
from attnmass.models.state import digest_of
from attnmass.models.untrained import is_untrained
from attnmass.models.view import find_config, find_decoder, layers_above
from attnmass.profiles import HeadProfile, choose_profile, load_profile
from attnmass.profiles.kept import kept_folder
from attnmass.profiles.texts import ordinary_documents
from attnmass.ranker import AttentionRanker
from attnmass.text.prompt import PROMPT_VERSION
from attnmass.text.tokens import PlainTokenizer

SOURCE = "quick choice"

_VERSION = 1  # of how heads are chosen
_DOCUMENTS = 6
_QUERIES = 24
_HEADS = 8
_FOLDS = 3
_ERRORS = 3.0  # standard errors over chance of a choice, on queries that did not make it
# Where chunks are read once for all queries, all stand against all; else there are as few.
_READ_ONCE = (LateLayout.name, ParallelLayout.name)
_FEW = 8

_logger = getLogger(__name__)


def choose_quickly(model: Any, tokenizer: Any, default: HeadProfile) -> HeadProfile | None:
    """Heads in the layers that the default profile runs, or what was chosen earlier and kept.

    What is chosen is kept in the user's cache folder, for the model's state, layout and prompt, and
    found again by every process that has that model, however it was loaded.

    Args:
        model: As `AttentionRanker` takes it.
        tokenizer: Its tokenizer.
        default: Its default profile.

    Returns:
        `None` where no heads stand out on queries that did not choose them, as with random weights,
        or where a layer in between cannot be read; nothing is kept then.
    """
    if is_untrained(unwrapped(model)):
        return None
    config = find_config(model)
    file = kept_folder() / f"{_key(model, default)}.json"
    known = _read(file, config, default.layout)
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
    if not _stands_out(arrays):
        return None
    chosen = sorted(heads[i] for i in _likeliest(arrays, np.arange(len(arrays.sets))))
    found = HeadProfile.from_heads(
        chosen,
        model=default.model,
        layout=default.layout,
        fingerprint=fingerprint(config),
        source=SOURCE,
        fitted_on=f"{len(arrays.sets)} sentences of the texts that ship",
        null_query=default.null_query,
        direction=ranker.profile.direction,
    )
    _write(file, found)
    return found


def queries_for(layout: str) -> tuple[LabelledQuery, ...]:
    """The sentences, each with the chunks that it is asked of."""
    documents = ordinary_documents()
    some = [documents[i * len(documents) // _DOCUMENTS] for i in range(_DOCUMENTS)]
    n_chunks = sum(len(one.paragraphs) for one in some)
    return cloze_queries(some, most=_QUERIES, candidates=n_chunks if layout in _READ_ONCE else _FEW)


def _captured(ranker: AttentionRanker, plain: PlainTokenizer, layout: str) -> Arrays:
    look = look_at_heads(ranker, plain)
    queries = queries_for(layout)
    masses = [np.maximum(look(query).beyond_null, 0.0) for query in queries]
    nothing = [np.zeros(len(query.chunks)) for query in queries]
    relevant = [query.relevant for query in queries]
    return Arrays.stack(masses, relevant, nothing, [0] * len(queries))


def _likeliest(arrays: Arrays, rows: Integers) -> list[int]:
    """Indices of the heads with the highest likelihood on some queries, best first."""
    task = Task(rows, np.arange(arrays.masses.shape[1]), _HEADS)
    return list(likelihood(Quality(arrays), task)[-1].heads)


def _stands_out(arrays: Arrays) -> bool:
    """Whether choices rank queries that did not make them better than any order would.

    By the share of the other chunks that a relevant one is before, which by chance is uniform: so
    its mean has a known error, and few queries tell.
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


def _key(model: Any, default: HeadProfile) -> str:
    """Tells apart all that the choice depends on."""
    inner: Any = unwrapped(model)
    skipped: Sequence[Any] = ()
    config = copy.deepcopy(inner.config)
    if kind_of(config) == "decoder":  # layers above are often not even loaded
        n_layers = default.last_layer + 1
        inner = find_decoder(model)
        skipped = layers_above(inner, n_layers)
        config = copy.deepcopy(inner.config)
        config.num_hidden_layers = n_layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:n_layers]
    about = {
        "model": digest_of(Seen({"": inner}, skipped), config),
        "layout": default.layout,
        "prompt_version": PROMPT_VERSION,
        "version": _VERSION,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def _read(file: Path, config: Any, layout: str) -> HeadProfile | None:
    """What is kept, checked as any profile is; what is damaged or foreign is not there."""
    try:
        found = load_profile(file)
        if found.prompt_version != PROMPT_VERSION or found.source != SOURCE:
            return None
        return choose_profile(config, layout, profile=found)
    except (OSError, ValueError) as error:
        if not isinstance(error, FileNotFoundError):
            _logger.info("%s is not used: %s", file, error)
        return None


def _write(file: Path, profile: HeadProfile) -> None:
    """Keep it, whole or not at all; where that fails, do without."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as written:
                written.write(profile.to_json())
            Path(scratch).chmod(0o644)  # others may share the cache
            Path(scratch).replace(file)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        _logger.info("the heads of %s are not kept: %s", profile.model, error)
