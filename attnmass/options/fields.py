"""Names of options, by what they are about; adapters and the command line take them from here."""

from __future__ import annotations

from attnmass.options.declared import (
    Loading,
    Reading,
    Selecting,
    Storing,
    Trimming,
    names_of,
)

# Fields that say where what was read is kept.
CACHE_FIELDS = names_of(Storing)

# Fields that the constructor of `AttentionRanker` takes beside heads and profile, and each call.
_SETTLED_LATER = ("profile", "fit_texts", "heads", "batch_size")
CONSTRUCTOR_FIELDS = (
    *(name for name in names_of(Reading) if name not in _SETTLED_LATER),
    *CACHE_FIELDS,
)

# Fields that say how a model is loaded and read, as `shared_ranker` names them too.
LOADING_GROUPS = (Loading, Reading, Storing)
LOADING_FIELDS = tuple(
    name
    for name in names_of(*LOADING_GROUPS)
    if name not in ("model", "batch_size")  # the name itself; passed with each call
)

# Fields that say which chunks are kept and how they are ordered, as `Selection` names them too.
SELECTION_FIELDS = names_of(Selecting)

# Fields that ask for trimming, one of them or more, and those that only say how; see `Trim`.
TRIM_FIELDS = ("max_tokens", "keep_ratio", "top_p")
TRIM_DETAILS = tuple(name for name in names_of(Trimming) if name not in TRIM_FIELDS)

# Fields of these that are objects of the caller's, which no text and no server can name.
OBJECTS = ("tokenizer", "embed_model")

# Fields that make no other result, or that the ranker tells better: which heads, read how.
NO_MATTER = {
    *(name for name in LOADING_FIELDS if name != "revision"),
    "batch_size",
    "callback_manager",
    "keep_ranking",
    "on_error",
    "show_progress",
    *OBJECTS,  # which are told apart in ways of their own
}
