"""Every option, once: name, type, default, limits, one sentence of help, and who takes it.

Each group is a pydantic model, so that adapters inherit its fields, with their types, as they are.
The core's own checks (`attnmass.options.checked`) and the command line are made from it too.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from annotated_types import Ge, Le
from pydantic import BaseModel, Field

from attnmass.options.checked import Checked
from attnmass.options.choices import (
    DEFAULT_MODEL,
    Direction,
    Dtype,
    LayoutName,
    OnEmpty,
    OnNoEvidence,
    Order,
    RankBy,
    RetrievalKind,
    StoreFormat,
)
from attnmass.options.cross import CrossOptions

Profile = TypeVar("Profile")

Share = Annotated[float, Ge(0), Le(1)]

MEMORY_BYTES = 1 << 30
STORE_BYTES = 10 << 30

# What a device may be called; checked before torch is there to ask.
DEVICE = r"^(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?$"


def option(
    default: Any,
    help: str,  # noqa: A002
    *,
    unset: str = "",
    path: bool = False,
    **limits: Any,
) -> Any:
    """Declare an option.

    Args:
        default: The value where none is given.
        help: What it is for: one sentence, without the full stop.
        unset: What `None` stands for, where that is the default.
        path: Whether it is a path, which may then be passed as one, too.
        **limits: As pydantic's `Field` takes them: `ge`, `gt`, `le`, `pattern`, ...
    """
    said = f"{help}; default: {unset}." if unset else f"{help}."
    told: dict[str, Any] = {"unset": unset, "format": "path" if path else ""}
    extra = {name: value for name, value in told.items() if value}
    return Field(default=default, description=said, json_schema_extra=extra or None, **limits)


class Loading(BaseModel):
    """Which model is loaded, and how."""

    model: str = option(
        DEFAULT_MODEL,
        "Short name, folder, GGUF file or Hugging Face repository of the model",
        path=True,
    )
    device: str | None = option(
        None, "Where the model runs: cpu, cuda, ...", unset="the best there is", pattern=DEVICE
    )
    dtype: Dtype = option(
        "auto", "Number format of the model; auto is the fastest that the device handles well"
    )
    revision: str | None = option(None, "Branch, tag or commit on the Hub", unset="main")
    cache_dir: str | None = option(
        None, "The Hub's cache, a folder of weights", unset="that of huggingface_hub", path=True
    )
    local_files_only: bool = option(False, "Never contact the Hub; HF_HUB_OFFLINE=1 does the same")


class JointReading(Checked):
    """Options that only the layout `joint` has."""

    layout: Literal["joint"] = option("joint", "The layout that takes this")
    max_context_tokens: int | None = option(
        None,
        "Tokens above which chunks are read in overlapping contexts, whose scores are merged",
        unset="the model's limit",
        ge=1,
    )
    second_pass: bool = option(
        False, "Whether chunks are also read in reverse order and scored by the mean of both"
    )


class PointwiseReading(Checked):
    """Options that only the layout `pointwise` has."""

    layout: Literal["pointwise"] = option("pointwise", "The layout that takes this")
    direction: Direction | None = option(
        None, "Which way an encoder's attention is read", unset="the head profile's"
    )
    cross: CrossOptions | None = option(
        None, "How an encoder-decoder's cross-attention is read", unset="CrossOptions()"
    )


class Reading(BaseModel, Generic[Profile]):
    """How a model is read; what a head profile is, `Profile`, is known above."""

    profile: Profile | str | None = option(
        None,
        "The head profile, which says which heads are read, or its file; fit finds heads from "
        "texts alone at first use, and keeps them",
        unset="what ships",
        path=True,
    )
    fit_texts: tuple[str, ...] | None = option(
        None, "Files, folders or texts that profile='fit' uses", unset="texts that ship"
    )
    heads: tuple[tuple[int, int], ...] | Literal["all"] | None = option(
        None, "(layer, head) pairs to read, weighted equally, instead of a profile's, or all"
    )
    layout: LayoutName | None = option(
        None, "How chunks and query are laid out for the model", unset="as suits the model"
    )
    reading: JointReading | PointwiseReading | None = option(
        None, "Options that only one layout has, for research", unset="the layout's own"
    )
    rank_by: RankBy | None = option(
        None, "What chunks are ordered by", unset="a cross-encoder's logit, else the attention"
    )
    batch_size: int | None = option(
        None, "Chunks in one forward pass", unset="as max_batch_tokens allows", ge=1
    )
    max_batch_tokens: int | None = option(
        None, "Tokens in one forward pass", unset="1,024 on a CPU, else 16,384", ge=1
    )
    max_chunk_tokens: int | None = option(
        None,
        "Tokens above which a chunk is read in overlapping windows",
        unset="the model's limit",
        ge=1,
    )


class Storing(BaseModel):
    """Where what was read is kept, so that it need not be read again."""

    store: str | None = option(
        None,
        "Folder that keeps what was read from chunks beyond the process",
        unset="none",
        path=True,
    )
    store_bytes: int | None = option(
        STORE_BYTES, "Bytes that store may take up; None for no bound", ge=1
    )
    shared_store: str | None = option(
        None,
        "Behind the store: a Redis (redis://host:6379/0) where many machines keep what they read, "
        "or a folder of an object store (s3://bucket/folder) that attnmass index fills",
        unset="none",
    )
    store_format: StoreFormat | None = option(
        None, "Format for keeping what was read, smaller and less exact", unset="the model's"
    )
    memory_bytes: int | None = option(
        MEMORY_BYTES,
        "Bytes of memory for keeping what was read from chunks; 0 for none, None for no bound",
        ge=0,
    )


class Remote(BaseModel):
    """How a server is asked, where model is its URL."""

    api_key: str | None = option(
        None,
        "Key for the server, never serialized",
        unset="ATTNMASS_API_KEY of the environment",
        exclude=True,
        repr=False,
    )
    timeout: float = option(
        120.0, "Seconds that a call to the server may take in all", gt=0, allow_inf_nan=False
    )
    retries: int = option(
        3, "How many times a busy or unreachable server is asked again within that time", ge=0
    )


class Scoring(BaseModel):
    """What chunks are scored by besides attention, and what counts as no evidence."""

    fuse: Share | Literal["auto"] | None = option(
        "auto",
        "Share of the retriever's scores in the order, 0 to 1; auto uses a fitted rule where all "
        "candidates have a score, None for none",
    )
    retrieval_kind: RetrievalKind = option(
        "auto",
        "What the retriever's scores are; auto recognises distances by their order, and only for "
        "the order: for evidence, distances between 0 and 1 have to be declared",
    )
    evidence_threshold: float | None = option(
        None, "Evidence, 0 to 1, below which there is none", unset="the profile's", ge=0, le=1
    )


class Selecting(Scoring):
    """Which chunks are kept, and in which order; options that leave some out may be `None`."""

    top_n: int | None = option(None, "Keep this many of the best", unset="all", ge=1)
    min_relevance: Share | Literal["auto"] | None = option(
        "auto",
        "Leave out chunks and spans below this relevance, 0 to 1; auto is the profile's under "
        "max_tokens and otherwise none, None for none",
    )
    order: Order = option(
        "score", "Order of what is kept: best first by score, as in the input, or best_last"
    )
    on_no_evidence: OnNoEvidence = option(
        "keep", "Without evidence, keep chunks, return none (empty), or raise NoEvidenceError"
    )


class Trimming(BaseModel):
    """Which spans of the chunks are kept."""

    max_tokens: int | None = option(
        None, "Trim to this many tokens, titles and metadata included", unset="no limit", ge=1
    )
    keep_ratio: float | None = option(
        None,
        "Trim to this share of the tokens of all spans, above 0",
        unset="no limit",
        gt=0,
        le=1,
    )
    top_p: float | None = option(
        None,
        "Trim to the best spans that have this share of the attention, above 0",
        unset="no limit",
        gt=0,
        le=1,
    )
    min_keep: int = option(1, "Spans that are kept whatever keep_ratio and top_p say", ge=0)
    keep_titles: bool = option(True, "Whether the headings over a kept span are kept with it")
    neighbors: int = option(
        0, "Spans before and after a kept one that are also kept if there is room", ge=0
    )
    resolve_context: bool = option(
        False, "Whether the earlier span that a kept one leans on is also kept if there is room"
    )
    separator: str = option("…", "What stands where text was dropped")
    on_empty: OnEmpty = option(
        "raise", "Where no span fits: an error, nothing (empty), or the best span's beginning (cut)"
    )
    must_keep: tuple[str, ...] = option(
        (),
        "Patterns whose spans are kept whatever they score: names of sets, such as amounts and "
        "dates, and regular expressions",
    )
    dry_run: bool = option(
        False, "Whether to return chunks whole and only report what would be saved and lost"
    )
    tokenizer: Any = option(
        None,
        "What counts max_tokens: the reader's tokenizer, or a callable; never serialized",
        unset="the model's, or in LlamaIndex its own",
        exclude=True,
    )
    language: str | None = option(
        None,
        "ISO 639-1 code of the language whose rules split sentences, English if it is unknown",
        unset="a choice by script",
    )
    embed_model: Any = option(
        None,
        "Embeds query and spans, whose cosine then counts in span scores: a model of "
        "sentence-transformers, LlamaIndex or LangChain; never in an adapter's dumps or pickles",
        unset="attention alone",
        exclude=True,
        repr=False,
    )


def defaults_of(*groups: type[BaseModel]) -> dict[str, Any]:
    """The defaults of the options in some groups, by name."""
    return {name: info.default for group in groups for name, info in group.model_fields.items()}


def names_of(*groups: type[BaseModel]) -> tuple[str, ...]:
    """The names of the options in some groups."""
    return tuple(name for group in groups for name in group.model_fields)
