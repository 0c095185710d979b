"""Names of options, by what they are about; adapters and the command line take them from here."""

from __future__ import annotations

from attnmass.options.cache import CACHE_FIELDS

# Fields that only some layouts take, as `AttentionRanker` names them too.
LAYOUT_FIELDS = ("direction", "cross", "max_context_tokens", "second_pass")

# Fields that say how a model is loaded and read, as `shared_ranker` names them too.
LOADING_FIELDS = (
    "device",
    "dtype",
    "profile",
    "heads",
    "layout",
    "rank_by",
    *LAYOUT_FIELDS,
    "revision",
    "cache_dir",
    "local_files_only",
    *CACHE_FIELDS,
)

# Fields that say which chunks are kept and how they are ordered, as `Selection` names them too.
SELECTION_FIELDS = (
    "top_n",
    "score_threshold",
    "fuse",
    "order",
    "evidence_threshold",
    "on_no_evidence",
)

# Fields that ask for trimming, one of them or more, and those that only say how; see `Trim`.
TRIM_FIELDS = ("max_tokens", "keep_ratio", "top_p")
TRIM_DETAILS = (
    "min_keep",
    "keep_titles",
    "neighbors",
    "resolve_context",
    "separator",
    "on_empty",
    "tokenizer",
    "language",
)

# Fields that make no other result, or that the ranker tells better: which heads, read how.
NO_MATTER = {
    *(name for name in LOADING_FIELDS if name != "revision"),
    "batch_size",
    "callback_manager",
    "keep_ranking",
    "on_error",
    "show_progress",
    "tokenizer",
}

# What a device may be called; checked before torch is there to ask.
DEVICE = r"^(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?$"
