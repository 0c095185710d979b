"""A model that is read in one way: how it is put together, and run by one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from attnmass.engine.building import build, choose
from attnmass.engine.forking import ForkLock
from attnmass.engine.leaning import Leaner
from attnmass.engine.progress import progress_bar
from attnmass.engine.rank_by import choose_rank_by, class_name
from attnmass.engine.tally import Tally
from attnmass.engine.trimmer import Trimmer
from attnmass.engine.worker import Worker
from attnmass.layouts import LayoutOptions, LayoutResult, QueryAttention, check_name
from attnmass.layouts.ignored import without_ignored
from attnmass.loading.load import load
from attnmass.loading.nearby import profile_nearby
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.models.generators import find_generator
from attnmass.options.cache import CacheOptions
from attnmass.options.checks import check_path
from attnmass.options.choices import CacheFormat, Direction, RankBy, check_rank_by
from attnmass.options.cross import CrossOptions
from attnmass.options.declared import CACHE_BYTES, CACHE_FOLDER_BYTES
from attnmass.options.fields import CACHE_FIELDS
from attnmass.profiles import HeadProfile
from attnmass.store import ChunkCache
from attnmass.text.tokens import Tokens

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Self


class Engine:
    """A model, its heads, its layout and its store; what is asked of it stands above.

    One instance may be called from many threads; its model is used by one at a time.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any = None,
        *,
        profile: HeadProfile | str | Path | None = None,
        heads: Iterable[tuple[int, int]] | Literal["all"] | None = None,
        layout: str | None = None,
        rank_by: RankBy | None = None,
        direction: Direction | None = None,
        max_batch_tokens: int | None = None,
        batch_size: int | None = None,
        max_chunk_tokens: int | None = None,
        max_context_tokens: int | None = None,
        second_pass: bool = False,
        cache_bytes: int | None = CACHE_BYTES,
        cache_folder: str | os.PathLike[str] | None = None,
        cache_folder_bytes: int | None = CACHE_FOLDER_BYTES,
        cache_format: CacheFormat | None = None,
        progress: bool = False,
        cross: CrossOptions | None = None,
    ) -> None:
        """Prepare a loaded model; nothing of it or of the tokenizer is changed.

        Args:
            model: A transformers decoder or encoder-decoder, such as the one that a pipeline
                generates with, or an encoder; a `CrossEncoder` or a `SentenceTransformer` with an
                encoder in it.
            tokenizer: Its fast tokenizer; models of sentence-transformers bring theirs.
            profile: The heads to read: a profile, or the path of one. Default: the one that ships
                for the model, else all heads of its middle layers, with a warning.
            heads: `(layer, head)` pairs, 0-based, weighed alike, instead of a profile; `"all"` is
                every head, which in the joint layout is in-context re-ranking as published.
            layout: How chunks and query are laid out; default: the profile's, else the one that
                suits the kind of model, which for decoders is `"parallel"` and for encoders
                `"pointwise"`. `"joint"`, for decoders, puts all chunks in one context, in which
                their order matters.
            rank_by: `"attention"`; `"logit"`, of an encoder with a sequence classification head of
                one label, such as a `CrossEncoder`: scores are then the sigmoids of its logits,
                and attention trims; or `"both"`: ordered by their z-scores, weighed alike, with
                the same scores as `"logit"`. Default: by the logit where there is one.
            direction: In the layout `"pointwise"`, which way attention is read, see
                `attnmass.layouts.pointwise`; default: the profile's.
            max_batch_tokens: Tokens in one forward pass, padding included; default: 1,024 on a
                CPU, where more was slower, and 16,384 elsewhere.
            batch_size: Chunks in one forward pass; default: as `max_batch_tokens` allows.
            max_chunk_tokens: Longer chunks are split into overlapping windows; default: the
                model's own limit.
            max_context_tokens: In the joint layout, bound on a context, prompt and query included;
                chunks beyond it are read in overlapping contexts whose scores are merged, which
                the notes of the result say. Default: the model's own limit.
            second_pass: In the joint layout, read the chunks a second time in reverse order, score
                them by the mean, and tell by `Ranking.stability` how alike the two are.
            cache_bytes: Bound on what is kept in memory of the chunks that were read, so that later
                calls need not read them again; it lies where the model is. 0 keeps nothing, `None`
                everything; default: 1 GiB.
            cache_folder: Folder where it is kept beyond the process, too, for all processes that
                name the folder; default: none. (`cache_dir` is the Hub's cache of weights.)
            cache_folder_bytes: Bound on the folder's files; `None` for no bound; default: 10 GiB.
            cache_format: Keep it as `"float16"`, `"bfloat16"` or `"int8"`, in fewer bytes and less
                exactly; default: in the model's dtype.
            progress: Whether to show a progress bar while chunks are read.
            cross: How cross-attention is read, for encoder-decoders only.

        Raises:
            ValueError: If options contradict each other or do not fit the model.
            TypeError: If there is no tokenizer.
            UnsupportedModelError: If the model's attention cannot be read, or could not be proved.
        """
        check_name(layout)
        self._cache = ChunkCache(
            CacheOptions(
                cache_bytes=cache_bytes,
                cache_folder=cast("str | None", cache_folder),  # which makes a path a text
                cache_folder_bytes=cache_folder_bytes,
                cache_format=cache_format,
            )
        )
        built = build(
            model,
            tokenizer,
            self._cache,
            profile=profile,
            heads=heads,
            layout=layout,
            rank_by=rank_by,
            own={
                "direction": direction,
                "cross": cross,
                "max_context_tokens": max_context_tokens,
                "second_pass": second_pass,
            },
        )
        if max_batch_tokens is None:
            on_cpu = next(model.parameters()).device.type == "cpu"
            max_batch_tokens = 1024 if on_cpu else 16384
        options = LayoutOptions(
            max_batch_tokens,
            batch_size,
            max_chunk_tokens,
            null_query=built.profile.null_query,
        )
        self._profile = built.profile
        self._own = dict(built.own)
        self._rank_by = built.rank_by
        self._plain = built.plain
        self._layout = built.layout
        self._options = options
        self._progress = progress
        self._tally = Tally()
        self._lock = ForkLock()
        leaner = Leaner(built.profile, built.layout, self._lock)
        self._trimmer = Trimmer(built.profile, built.plain, leaner)
        self._worker = Worker()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype = "auto",
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        profile: HeadProfile | str | Path | None = None,
        heads: Iterable[tuple[int, int]] | Literal["all"] | None = None,
        layout: str | None = None,
        rank_by: RankBy | None = None,
        **options: Any,
    ) -> Self:
        """Load a model by name, no more of it than the heads need.

        Args:
            name_or_path: A folder, a GGUF file, a short name (`smollm2-135m`, or
                `all-minilm-l6-v2`), or a repository of the Hugging Face Hub. Only safetensors and
                GGUF are read, and no code.
            device: Where it runs; default: the best there is (CUDA, MPS, XPU, CPU).
            dtype: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`, the fastest that the device
                does well.
            revision: Branch, tag or commit on the Hub.
            cache_dir: The Hub's cache; weights converted from GGUF are kept there too.
            local_files_only: Never ask the Hub.
            profile: As in the constructor; default: an `attnmass.json` (or, with `layout`,
                `attnmass.LAYOUT.json`) next to the model, before what ships.
            heads: As in the constructor.
            layout: As in the constructor.
            rank_by: As in the constructor; without a logit no classification head is loaded.
            **options: The constructor's other options.

        Raises:
            WeightsNotFoundError: If no weights were found.
            ValueError: As in the constructor.
            UnsupportedModelError: As in the constructor.
        """
        check_path("name_or_path", name_or_path)
        check_name(layout)
        check_rank_by(rank_by)
        CacheOptions(**{name: options[name] for name in CACHE_FIELDS if name in options})
        heads = heads if heads is None or heads == "all" else tuple(heads)
        if profile is None and heads is None:
            profile = profile_nearby(
                os.fspath(name_or_path),
                layout,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
            )
        loaded = load(
            os.fspath(name_or_path),
            partial(choose, layout=layout, profile=profile, heads=heads),
            device=device,
            dtype=dtype,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=local_files_only,
            needs_head=lambda config: (
                choose_rank_by(config, class_name(config), rank_by) != "attention"
            ),
        )
        return cls(
            loaded.model, loaded.tokenizer, profile=loaded.profile, rank_by=rank_by, **options
        )

    @classmethod
    def from_generator(cls, generator: Any, *, tokenizer: Any = None, **options: Any) -> Self:
        """Read the heads of the model that a pipeline generates with, which is in memory already.

        Nothing of the generator is changed, and what it generates is what it generated before, also
        while the ranker is used from another thread.

        Args:
            generator: LlamaIndex's `HuggingFaceLLM`, LangChain's `HuggingFacePipeline` or
                `ChatHuggingFace`, a pipeline of transformers, or any of its models.
            tokenizer: The model's fast tokenizer; default: the generator's own.
            **options: The constructor's other options.

        Raises:
            UnsupportedModelError: If there is no model in it, or its attention cannot be read.
            ValueError: If there is no tokenizer, and as in the constructor.
        """
        model, tokenizer = find_generator(generator, tokenizer)
        return cls(model, tokenizer, **options)

    @property
    def profile(self) -> HeadProfile:
        """The heads that are read."""
        return self._profile

    @property
    def options(self) -> dict[str, Any]:
        """How the model is read beside its heads, as the constructor's parameters have it.

        These are `layout`, `rank_by`, and what the layout alone has, such as `cross`.
        """
        return {"layout": self._profile.layout, "rank_by": self._rank_by, **self._own}

    def _attend(
        self,
        queries: Sequence[Tokens],
        chunks: Sequence[Tokens],
        options: LayoutOptions,
        progress: bool,
    ) -> LayoutResult:
        return self._run(
            chunks,
            len(queries),
            lambda tokens, advance: without_ignored(
                self._layout.attend(queries, tokens, options, advance), options
            ),
            progress,
        )

    def _run(
        self,
        chunks: Sequence[Tokens],
        n_results: int,
        attend: Callable[[Sequence[Tokens], Callable[[int], object]], LayoutResult],
        progress: bool,
    ) -> LayoutResult:
        """Attend, one thread at a time; no chunks need no model."""
        if not chunks:
            nothing = QueryAttention((), torch.zeros(len(self._profile.all_heads)))
            return LayoutResult((nothing,) * n_results, (), 0.0, 0.0)
        with self._lock, progress_bar(len(chunks), progress) as bar:
            result = attend(chunks, bar.update)
        self._tally.add(
            calls=1,
            tokens_encoded=result.tokens_encoded,
            encode_seconds=result.encode_seconds,
            query_seconds=result.query_seconds,
        )
        return result
