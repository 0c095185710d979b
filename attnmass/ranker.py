"""The public entry: a model, and questions to its heads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from attnmass import scoring
from attnmass.building import build, choose
from attnmass.cache import ChunkCache
from attnmass.cache_options import CACHE_BYTES, CACHE_FIELDS, CACHE_FOLDER_BYTES, CacheOptions
from attnmass.checks import check_count, check_path, check_type
from attnmass.cross_options import CrossOptions
from attnmass.errors import NoEvidenceError
from attnmass.generators import find_generator
from attnmass.inputs import Inputs, check_chunks, check_queries, read_chunks, read_queries
from attnmass.layouts import (
    LayoutOptions,
    QueryAttention,
    check_name,
)
from attnmass.loading.load import load
from attnmass.loading.sources import DEFAULT_MODEL
from attnmass.looker import Looker, notes_on
from attnmass.profiles import Direction, HeadProfile
from attnmass.profiles.nearby import profile_nearby
from attnmass.rank_by import check_rank_by, choose_rank_by, class_name
from attnmass.selection import OnNoEvidence, Order, RankBy, Selection
from attnmass.text import Tokens
from attnmass.trace import trace
from attnmass.trimming import Render, Trim
from attnmass.types import Chunk, Ranking, Timings

if TYPE_CHECKING:
    from torch import nn


class AttentionRanker(Looker):
    """Ranks chunks by the attention that a query pays them inside a transformer.

    One instance may be called from many threads; its model is used by one at a time.

    Example:
        >>> ranker = AttentionRanker.from_pretrained("smollm2-135m")
        >>> ranking = ranker.rank("Who wrote Hamlet?", ["Paris is a city.", "Shakespeare did."])
        >>> ranking.chunks[0].index
        1
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
        cache_format: str | None = None,
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
            CacheOptions(cache_bytes, cache_folder, cache_folder_bytes, cache_format)
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
        self._set_up(
            built.profile, built.plain, built.layout, options, progress, built.rank_by, built.own
        )

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
    ) -> AttentionRanker:
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
    def from_generator(
        cls, generator: Any, *, tokenizer: Any = None, **options: Any
    ) -> AttentionRanker:
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

    def rank(
        self,
        query: str,
        chunks: Sequence[str | Chunk],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        retrieval_scores: Sequence[float | None] | None = None,
        fuse: float | None = None,
        order: Order = "score",
        evidence_threshold: float | None = None,
        on_no_evidence: OnNoEvidence = "keep",
        trim: Trim | None = None,
        render: Render | None = None,
        query_words: bool = False,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> Ranking:
        """Order chunks by the attention that they get from the query, or as `rank_by` says.

        Args:
            query: The question; never truncated.
            chunks: Texts, or `Chunk`s with titles. Empty, blank or non-text ones are not scored:
                they come last with score 0.0.
            top_n: Keep the best so many; default: all.
            score_threshold: Keep only chunks of at least this score, which is a share of attention
                or, where a classification head ranks, the sigmoid of its logit.
            retrieval_scores: The retriever's score of each chunk, for the result and for `fuse`.
            fuse: Order by a blend of both scores in which the retriever's has this share, in
                [0, 1]; 0.5 is the sum of the two z-scores, of the retriever's score and of the
                logarithm of attention's. Default: none of it. Scores stay what they are.
            order: How kept chunks are ordered: best first by `"score"`, as in the `"input"`, or
                `"best_last"`, next to a question that follows them.
            evidence_threshold: Less evidence than this is none; default: the profile's.
            on_no_evidence: Then `"keep"` the chunks all the same, return none (`"empty"`), or
                `"raise"`.
            trim: Keep only some spans of the chunks, from the same forward pass; see `Trim`.
            render: For trimming to a budget: what the reader gets of a chunk, called with its
                input index and its kept text. Default: its title on a line, then the text.
            query_words: Keep where each token of the query looked, too, for `Ranking.explain`; from
                the same forward pass.
            batch_size: As in the constructor, for this call.
            progress: Likewise.

        Returns:
            The ranking; empty where `chunks` is.

        Raises:
            ValueError: If the query is blank or too long for the model, an option is off, or no
                span fits into the budget.
            TypeError: If the query is not a string.
            CaptureError: If the attention has NaN.
            NoEvidenceError: If there is too little and `on_no_evidence` is `"raise"`.
        """
        return self.rank_batch(
            [query],
            chunks,
            top_n=top_n,
            score_threshold=score_threshold,
            retrieval_scores=retrieval_scores,
            fuse=fuse,
            order=order,
            evidence_threshold=evidence_threshold,
            on_no_evidence=on_no_evidence,
            trim=trim,
            render=render,
            query_words=query_words,
            batch_size=batch_size,
            progress=progress,
        )[0]

    def trim(self, query: str, chunks: Sequence[str | Chunk], **options: Any) -> Ranking:
        """Rank chunks and keep only the spans of them that matter: `rank` with a `Trim`.

        Args:
            query: As in `rank`.
            chunks: As in `rank`.
            **options: Fields of `Trim`, such as `max_tokens=800`, and options of `rank`.

        Returns, errors: as in `rank`.
        """
        names = {field.name for field in fields(Trim) if field.init}
        wanted = {name: value for name, value in options.items() if name in names}
        rest = {name: value for name, value in options.items() if name not in names}
        return self.rank(query, chunks, trim=Trim(**wanted), **rest)

    def rank_batch(
        self,
        queries: Sequence[str],
        chunks: Sequence[str | Chunk],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        retrieval_scores: Sequence[float | None] | None = None,
        fuse: float | None = None,
        order: Order = "score",
        evidence_threshold: float | None = None,
        on_no_evidence: OnNoEvidence = "keep",
        trim: Trim | None = None,
        render: Render | None = None,
        query_words: bool = False,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> list[Ranking]:
        """Rank one set of chunks for several queries; the chunks are read once.

        Args, errors: as in `rank`.

        Returns:
            One ranking for each query.
        """
        started = time.perf_counter()
        if trim is not None and not isinstance(trim, Trim):
            raise TypeError(f"trim must be a Trim, not {trim!r}: pass trim=Trim(max_tokens=800)")
        if render is not None and not callable(render):
            raise TypeError(f"render must be a callable from index and text, not {render!r}")
        check_type("query_words", query_words, bool)
        check_count("batch_size", batch_size, 1, optional="the ranker's own")
        check_queries(queries)
        check_chunks(chunks)
        if not queries:
            return []
        selection = Selection(
            top_n,
            score_threshold,
            retrieval_scores,
            fuse,
            order,
            evidence_threshold,
            on_no_evidence,
        )
        selection.check(len(chunks))
        options = replace(self._options, query_rows=query_words)
        if batch_size is not None:
            options = replace(options, batch_size=batch_size)
        inputs = read_chunks(chunks, self._plain)
        asked = read_queries(queries, self._plain)
        tokenized = time.perf_counter()
        self._tally.add(tokenize_seconds=tokenized - started)
        show = self._progress if progress is None else progress
        result = self._attend(asked, list(inputs.tokens.values()), options, show)
        if query_words and inputs.tokens and result.queries[0].rows is None:
            raise ValueError(
                f"the layout {self._profile.layout!r} does not tell where each word of the query "
                "looked: leave out query_words"
            )
        attended = time.perf_counter()
        n_windows = dict(zip(inputs.tokens, result.windows, strict=True))
        notes = (*result.notes, *notes_on(n_windows, inputs.skipped))
        rankings = [
            self._ranking(query, tokens, attention, inputs, n_windows, selection)
            for query, tokens, attention in zip(queries, asked, result.queries, strict=True)
        ]
        if trim is not None:
            rankings = self._trimmer.trim(rankings, inputs, result.queries, trim, render, options)
        ended = time.perf_counter()
        timings = Timings(
            tokenize=tokenized - started,
            encode=result.encode_seconds,
            query=result.query_seconds,
            total=ended - started,
            trim=ended - attended if trim is not None else 0.0,
        )
        rankings = [replace(ranking, timings=timings, notes=notes) for ranking in rankings]
        for ranking in rankings:
            if ranking.no_evidence and on_no_evidence == "raise":
                raise NoEvidenceError(ranking, self._threshold(selection) or 0.0)
        return rankings

    def _ranking(
        self,
        query: str,
        tokens: Tokens,
        attention: QueryAttention,
        inputs: Inputs,
        n_windows: dict[int, int],
        selection: Selection,
    ) -> Ranking:
        """What one query's attention says of whole chunks."""
        shares, masses = scoring.chunk_scores(attention, self._profile)
        scored = dict(zip(inputs.tokens, masses, strict=True))
        shared = dict(zip(inputs.tokens, shares, strict=True))
        said = attention.logits
        logits = None if said is None else dict(zip(inputs.tokens, said, strict=True))
        n_tokens = {index: len(found) for index, found in inputs.tokens.items()}
        rule, known = self._profile.evidence, self._profile.all_heads
        by_head = scoring.head_masses(attention, [known.index(head) for head in rule.heads])
        evidence = rule(masses, list(n_tokens.values()), by_head)
        threshold = self._threshold(selection)
        no_evidence = bool(masses) and threshold is not None and evidence < threshold
        ranked = selection.rank(
            inputs.texts, scored, shared, n_tokens, n_windows, inputs.skipped, logits, self._rank_by
        )
        scores = {chunk.index: chunk.score for chunk in ranked}
        kept, dropped = selection.cut(ranked, no_evidence)
        return Ranking(
            query=query,
            chunks=tuple(kept),
            scores=tuple(scores[index] for index in range(len(inputs.chunks))),
            profile=self._profile,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            evidence=evidence,
            no_evidence=no_evidence,
            dropped=tuple(dropped),
            trace=trace(query, tokens, inputs, attention, threshold),
            stability=scoring.stability(attention, self._profile),
        )

    def _threshold(self, selection: Selection) -> float | None:
        if selection.evidence_threshold is not None:
            return selection.evidence_threshold
        return self._profile.evidence.threshold

    async def arank(self, query: str, chunks: Sequence[str | Chunk], **options: Any) -> Ranking:
        """`rank` in a worker thread of the ranker's own, so that the event loop goes on.

        Args, returns, errors: as in `rank`.
        """
        return await self._worker.run(self.rank, query, chunks, **options)
