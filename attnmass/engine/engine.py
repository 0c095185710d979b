"""A model that is read in one way: how it is put together, and run by one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from typing_extensions import Unpack

from attnmass.engine.building import build, choose
from attnmass.engine.forking import ForkLock
from attnmass.engine.leaning import Leaner
from attnmass.engine.making import LOADING, MAKING, LoadingOptions, RankerOptions, settled
from attnmass.engine.progress import progress_bar
from attnmass.engine.rank_by import choose_rank_by, class_name
from attnmass.engine.staying import Stays
from attnmass.engine.tally import Tally
from attnmass.engine.trimmer import Trimmer
from attnmass.engine.worker import Worker
from attnmass.layouts import LayoutOptions, LayoutResult, QueryAttention, check_name
from attnmass.layouts.ignored import without_ignored
from attnmass.loading.load import load
from attnmass.loading.nearby import profile_nearby
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.models.ambient import alone
from attnmass.models.generators import find_generator
from attnmass.options.cache import CacheOptions
from attnmass.options.checks import check_path
from attnmass.options.choices import check_rank_by
from attnmass.options.declared import names_of
from attnmass.options.fields import CACHE_FIELDS
from attnmass.options.fitting import as_texts, check_fit_texts
from attnmass.options.readings import check_reading, own_of, reading_of
from attnmass.options.urls import is_url
from attnmass.profiles import HeadProfile
from attnmass.store import ChunkCache
from attnmass.text.tokens import Tokens

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import Self


class Engine(Stays):
    """A model, its heads, its layout and its store; what is asked of it stands above.

    One instance may be called from many threads; its model is used by one at a time.
    """

    @alone
    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any = None,
        **options: Unpack[RankerOptions],
    ) -> None:
        """Prepare a loaded model; neither it nor the tokenizer is changed.

        Args:
            model: A transformers decoder or encoder-decoder, such as the one that a pipeline
                generates with, or an encoder; a `CrossEncoder` or a `SentenceTransformer` with an
                encoder in it.
            tokenizer: Its fast tokenizer; models of sentence-transformers bring theirs.
            **options: See below; all have the defaults that are declared for adapters, too.

        Options:
            - `profile`: The heads to read: a profile, the path of one, or `"fit"`, which fits one
              without labels, in minutes, once for a model, and keeps it in the Hugging Face cache.
              Default: the one that ships for the model or was fitted in this way, else heads chosen
              by a few sentences of ordinary text, which takes seconds and is also kept, with a
              warning; where none stand out, all heads of its middle layers.
            - `fit_texts`: What `profile="fit"` uses: files, folders or texts. Default: what is
              kept for the model, whatever it was fitted on, else the English texts that ship.
            - `heads`: `(layer, head)` pairs, 0-based, weighted equally, instead of a profile;
              `"all"` is every head, in the joint layout in-context re-ranking as published.
            - `layout`: How chunks and query are laid out; default: the profile's, else the one that
              suits the kind of model, which for decoders is `"late"` where a late profile ships or
              was fitted and `"parallel"` elsewhere, and for encoders `"pointwise"`. `"joint"`, for
              decoders, puts all chunks in one context, in which their order matters.
            - `rank_by`: `"attention"`; `"logit"`, of an encoder with a sequence classification head
              of one label, such as a `CrossEncoder`: scores are then the sigmoids of its logits,
              and attention trims; or `"both"`: ordered by their z-scores, weighted equally, with
              the same scores as `"logit"`. Default: by the logit where there is one.
            - `reading`: Options of one layout alone, which is then the default: a `JointReading`
              with `max_context_tokens`, the bound on a context, prompt and query included, beyond
              which chunks are read in overlapping contexts whose scores are merged, and
              `second_pass`, which also reads the chunks in reverse order, scores them by the mean,
              and reports in `Ranking.stability` how alike the two are; or a `PointwiseReading` with
              `direction`, which way encoders' attention is read (see `attnmass.layouts.pointwise`;
              default: the profile's), and `cross`, how encoder-decoders are read.
            - `max_batch_tokens`: Tokens in one forward pass, padding included; default: 1,024 on a
              CPU, where more was slower, and 16,384 elsewhere.
            - `batch_size`: Chunks in one forward pass; default: as `max_batch_tokens` allows.
            - `max_chunk_tokens`: Longer chunks are split into overlapping windows; default: the
              model's own limit.
            - `store`: Folder that keeps what was read from chunks beyond the process, for all
              processes that name the folder; default: none. (`cache_dir`, where models are loaded
              by name, is the Hub's cache of weights.)
            - `store_bytes`: Bound on the folder's files; `None` for no bound; default: 10 GiB.
            - `shared_store`: URL of a Redis behind it, for all machines that name it: what is in
              neither memory nor folder is looked for there, and what is read is also kept there.
              Or the URL of a folder of an object store, through fsspec, which is searched in the
              same way, and filled only by `attnmass index`. What cannot be asked in time is a miss.
            - `store_format`: Keep it as `"float16"`, `"bfloat16"` or `"int8"`, in fewer bytes and
              less exactly; default: in the model's dtype.
            - `memory_bytes`: Bound on what is kept of it in memory, so that later calls need not
              read chunks again; it is held where the model is. 0 keeps nothing, `None` everything;
              default: 1 GiB.
            - `progress`: Whether to show a progress bar while chunks are read.

        Raises:
            ValueError: If options contradict each other or do not fit the model, or too few
                questions can be made from `fit_texts`.
            TypeError: If there is no tokenizer.
            UnsupportedModelError: If the model's attention cannot be read, or could not be proved,
                or none of its heads stands out for `profile="fit"`.
        """
        given = settled(MAKING, options, "tokenizer")
        check_name(given["layout"])
        reading = given["reading"]
        layout = check_reading(reading, given["layout"])
        check_fit_texts(given["profile"], given["fit_texts"])
        self._cache = ChunkCache(CacheOptions(**{name: given[name] for name in CACHE_FIELDS}))
        built = build(
            model,
            tokenizer,
            self._cache,
            profile=given["profile"],
            fit_texts=as_texts(given["fit_texts"]),
            heads=given["heads"],
            layout=layout,
            rank_by=given["rank_by"],
            own=own_of(reading),
        )
        self._keeps = self._cache.is_on
        max_batch_tokens = given["max_batch_tokens"]
        if max_batch_tokens is None:
            on_cpu = next(model.parameters()).device.type == "cpu"
            max_batch_tokens = 1024 if on_cpu else 16384
        self._profile = built.profile
        self._reading = reading_of(built.profile.layout, built.own)
        self._rank_by = built.rank_by
        self._plain = built.plain
        self._layout = built.layout
        self._options = LayoutOptions(
            max_batch_tokens,
            given["batch_size"],
            given["max_chunk_tokens"],
            null_query=built.profile.null_query,
        )
        self._progress = given["progress"]
        self._tally = Tally()
        self._lock = ForkLock()
        leaner = Leaner(built.profile, built.layout, self._lock)
        self._trimmer = Trimmer(built.profile, built.plain, leaner)
        self._worker = Worker()

    @classmethod
    @alone
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        **options: Unpack[LoadingOptions],
    ) -> Self:
        """Load a model by name, and no more of it than the heads need.

        Args:
            name_or_path: A folder, a GGUF file, a short name (`smollm2-135m`, or
                `all-minilm-l6-v2`), or a repository of the Hugging Face Hub. Only safetensors and
                GGUF are read, and no code.
            **options: The constructor's, and see below.

        Options:
            - `device`: Where it runs; default: the best available (CUDA, MPS, XPU, CPU).
            - `dtype`: `"float32"`, `"bfloat16"`, `"float16"`, or `"auto"`, the fastest that the
              device handles well.
            - `revision`: Branch, tag or commit on the Hub.
            - `cache_dir`: The Hub's cache; weights converted from GGUF are kept there too.
            - `local_files_only`: Never contact the Hub.
            - `profile`: As in the constructor; default: an `attnmass.json` (or, with `layout`,
              `attnmass.LAYOUT.json`) next to the model, before what ships.
            - `rank_by`: As in the constructor; without a logit no classification head is loaded.

        Raises:
            WeightsNotFoundError: If no weights were found.
            ValueError: As in the constructor.
            UnsupportedModelError: As in the constructor.
        """
        check_path("name_or_path", name_or_path)
        if is_url(name_or_path):
            raise ValueError(
                f"{name_or_path} is a server, which has its model: ask it with "
                "RemoteRanker(url), or pass it as the model of AttentionRerank"
            )
        given = settled(LOADING, options, "name_or_path")
        check_name(given["layout"])
        rank_by, profile, heads = (given[name] for name in ("rank_by", "profile", "heads"))
        check_rank_by(rank_by)
        check_fit_texts(profile, as_texts(given["fit_texts"]))
        layout = check_reading(given["reading"], given["layout"])
        CacheOptions(**{name: given[name] for name in CACHE_FIELDS})
        heads = heads if heads is None or heads == "all" else tuple(heads)
        at_hub = {name: given[name] for name in ("revision", "cache_dir", "local_files_only")}
        if profile is None and heads is None:
            profile = profile_nearby(os.fspath(name_or_path), layout, **at_hub)
        loaded = load(
            os.fspath(name_or_path),
            partial(choose, layout=layout, profile=profile, heads=heads),
            device=given["device"],
            dtype=given["dtype"],
            needs_head=lambda config: (
                choose_rank_by(config, class_name(config), rank_by) != "attention"
            ),
            **at_hub,
        )
        mine = {name: value for name, value in given.items() if name in names_of(*MAKING)}
        mine |= {"profile": loaded.profile, "heads": None, "layout": layout}
        return cls(loaded.model, loaded.tokenizer, **mine)

    @classmethod
    def from_generator(
        cls, generator: Any, *, tokenizer: Any = None, **options: Unpack[RankerOptions]
    ) -> Self:
        """Read the heads of the model that a pipeline generates with, which is already in memory.

        Nothing in the generator is changed, and it generates what it generated before, even while
        the ranker is used from another thread.

        Args:
            generator: LlamaIndex's `HuggingFaceLLM`, LangChain's `HuggingFacePipeline` or
                `ChatHuggingFace`, a pipeline of transformers, or any of its models.
            tokenizer: The model's fast tokenizer; default: the generator's own.
            **options: The constructor's other options.

        Raises:
            UnsupportedModelError: If there is no model in it, or its attention cannot be read.
            ValueError: If there is no tokenizer, and as in the constructor.
        """
        settled(MAKING, options, "tokenizer")
        model, tokenizer = find_generator(generator, tokenizer)
        return cls(model, tokenizer, **options)

    @property
    def profile(self) -> HeadProfile:
        """The heads that are read."""
        return self._profile

    @property
    def options(self) -> dict[str, Any]:
        """How the model is read besides its heads, by the names of the constructor's parameters.

        These are `layout`, `rank_by`, and `reading`, `None` where the layout has none of its own.
        """
        return {
            "layout": self._profile.layout,
            "rank_by": self._rank_by,
            "reading": self._reading,
        }

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
            nothing = QueryAttention(
                (), torch.zeros(len(self._profile.all_heads), dtype=torch.float32)
            )
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
