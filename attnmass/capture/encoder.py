"""Reads the attention of selected heads of an encoder, over several passages side by side."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from attnmass.capture.forward import StopForward
from attnmass.capture.reader import Head
from attnmass.errors import CaptureError, UnsupportedModelError
from attnmass.models.kinds import ARTICLE, kind_of, unwrapped
from attnmass.models.view import find_layers, shared_view

# A view names it in its own config; no other model ever sees it.
INTERFACE = "attnmass_encoder"


@dataclass(frozen=True, slots=True)
class Passage:
    """Tokens that are read together, control tokens included.

    Attributes:
        ids: Token ids.
        types: Token type of each, which models without such types do not get.
        groups: Indices of tokens whose attention is averaged, for each group at least one.
        watched: Indices of the tokens of which is told how much attention every token pays them.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    watched: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """Where the selected heads look in one passage; fp32 on the CPU.

    Attributes:
        groups: Attention averaged over the tokens of each group, `[group, head, token]`.
        to_watched: Share of each token's attention that the watched ones get, `[head, token]`;
            no tokens where none are watched.
        logit: What the classification head says of the passage, `None` where it is not asked.
        to_each: Share of each token's attention that each of the watched ones gets,
            `[watched, head, token]`.
    """

    groups: Tensor
    to_watched: Tensor
    logit: float | None = None
    to_each: Tensor | None = None


class _Plan:
    """Which rows of a passage's attention are needed, and what is made of them."""

    def __init__(self, passage: Passage, device: torch.device) -> None:
        self.n_tokens = len(passage.ids)
        wanted = range(self.n_tokens) if passage.watched else {t for g in passage.groups for t in g}
        rows = sorted(wanted)
        place = {row: number for number, row in enumerate(rows)}
        averaging = torch.zeros(len(passage.groups), len(rows))  # [group, row]
        for number, group in enumerate(passage.groups):
            averaging[number, [place[token] for token in group]] = 1 / len(group)
        self.rows = torch.tensor(rows, device=device)
        self.averaging = averaging.to(device)
        self.watched = torch.tensor(passage.watched, dtype=torch.long, device=device)


@dataclass
class _Pass:
    """One forward pass of a view. Used by one thread, once.

    Attributes:
        plans: One for each row of the batch.
        layers: Layer number by the `id` of each module in the layers.
        heads: The selected heads, by layer.
        stop: The layer after which nothing is needed, `None` where the whole model is.
        groups: By layer, for each passage `[group, selected, token]`.
        watched: By layer, for each passage `[selected, token, watched]`.
    """

    plans: Sequence[_Plan]
    layers: Mapping[int, int]
    heads: Mapping[int, Sequence[int]]
    stop: int | None
    groups: dict[int, list[Tensor]] = field(default_factory=dict)
    watched: dict[int, list[Tensor]] = field(default_factory=dict)

    def keep(self, layer: int, rows: Iterable[Tensor], dtype: torch.dtype) -> None:
        """Take each passage's rows of attention, fp32, `[selected, row, token]`."""
        self.groups[layer], self.watched[layer] = [], []
        for plan, weights in zip(self.plans, rows, strict=True):
            if not torch.isfinite(weights).all():
                raise CaptureError(
                    f"attention of layer {layer} has NaN or infinite values in {dtype}: "
                    "load the model in float32 or bfloat16 (dtype='float32')."
                )
            averaging = plan.averaging.to(weights.device)
            self.groups[layer].append(torch.einsum("gr,srt->gst", averaging, weights))
            self.watched[layer].append(weights[:, :, plan.watched.to(weights.device)])


_ACTIVE: ContextVar[_Pass] = ContextVar("attnmass_encoder_pass")


def attention_function(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: object,
) -> tuple[Tensor, None]:
    """What views name as their attention; see `transformers.AttentionInterface`."""
    del dropout, kwargs  # views are in eval mode; what differs for it fails the proof at load
    active = _ACTIVE.get()
    layer = active.layers[id(module)]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    heads = list(active.heads.get(layer, ()))
    group = query.shape[1] // key.shape[1]  # heads that share keys, as EuroBERT's do
    if heads:
        shared = [head // group for head in heads]
        rows = (
            _rows(query[i, heads], key[i, shared], attention_mask, i, plan, scaling)
            for i, plan in enumerate(active.plans)
        )
        active.keep(layer, rows, query.dtype)
    if layer == active.stop:
        raise StopForward
    if group > 1:
        key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
    out = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling
    )
    return out.transpose(1, 2).contiguous(), None


def _rows(
    query: Tensor, key: Tensor, mask: Tensor | None, number: int, plan: _Plan, scaling: float
) -> Tensor:
    """The rows that a plan asks for, fp32, `[selected, row, token]`; padding is cut off.

    Args:
        query: Of one passage, `[selected, token, dim]`.
        key: Likewise.
        mask: Of the batch, `[batch, 1, token, token]`, `True` where a token may look.
        number: The passage's place in the batch.
        plan: What is asked for.
        scaling: Factor on the products.
    """
    queries = query[:, plan.rows].float()
    keys = key[:, : plan.n_tokens].float()
    scores = queries @ keys.transpose(1, 2) * scaling
    if mask is not None:
        allowed = mask[number][:, plan.rows, : plan.n_tokens]
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(dim=-1)


AttentionInterface.register(INTERFACE, attention_function)
AttentionMaskInterface.register(INTERFACE, sdpa_mask)


class EncoderReader:
    """A transformers encoder, cut after the last selected head unless its logit is wanted.

    Nothing of the model that is passed in is written to: the reader works on a view that shares its
    weights. One thread at a time may use a reader.

    Attributes:
        config: The model's own.
        heads: The selected heads in the order of the results, `(layer, head)`.
        path: `"interface"` where attention goes through transformers' attention interface,
            `"eager"` where a family's own eager attention is read on the layers needed.
        with_logit: Whether the classification head is run as well.
    """

    def __init__(
        self, model: nn.Module, heads: Iterable[Head], *, with_logit: bool = False
    ) -> None:
        """Build the view.

        Args:
            model: A transformers encoder, with or without a head, or what wraps one.
            heads: `(layer, head)`, 0-based, as a checked profile has them.
            with_logit: Whether to run the one-label classification head that it has.

        Raises:
            UnsupportedModelError: If the model's attention cannot be read.
        """
        whole = find_encoder(model, with_head=with_logit)
        self.config: Any = whole.config
        self.heads = tuple(heads)
        self.with_logit = with_logit
        self.last_layer = max(layer for layer, _ in self.heads)
        self._by_layer: dict[int, list[int]] = {}
        for layer, head in self.heads:
            self._by_layer.setdefault(layer, []).append(head)
        self.path = "interface" if _uses_interface(whole) else "eager"
        self._view: nn.Module = encoder_view(
            whole,
            None if with_logit else self.last_layer + 1,
            INTERFACE if self.path == "interface" else "eager",
        )
        _, layers = find_layers(self._view)
        self._layers = {id(m): n for n, layer in enumerate(layers) for m in layer.modules()}
        if self.path == "eager":
            for layer in self._by_layer:
                self._hook(layers[layer], layer)
        takes = inspect.signature(whole.forward).parameters
        n_types = getattr(self.config, "type_vocab_size", 0) or 0
        self._n_types = n_types if "token_type_ids" in takes else 0
        filler = getattr(self.config, "pad_token_id", None)
        self._filler = 0 if filler is None else int(filler)
        self._home = self.device

    @property
    def device(self) -> torch.device:
        """Where token ids go."""
        return next(self._view.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self._view.parameters()).dtype

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model takes at once, or `None` for no limit.

        Families that count positions from behind the padding's (RoBERTa, MPNet) take fewer than
        they have positions.
        """
        for name, module in self._view.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                padding = module.padding_idx
                return module.num_embeddings - (0 if padding is None else padding + 1)
        limit = getattr(self.config, "max_position_embeddings", None)
        return int(limit) if limit else None

    def look(self, passages: Sequence[Passage]) -> list[Sight]:
        """Read passages in one pass; shorter ones are filled up at their end, and unseen there.

        Args:
            passages: At least one, each of at least one token.

        Raises:
            CaptureError: If the attention has NaN.
            UnsupportedModelError: If a layer has no attention to read.
        """
        plans = [_Plan(passage, self.device) for passage in passages]
        stop = None if self.with_logit else self.last_layer
        active = _Pass(plans, self._layers, self._by_layer, stop)
        logits = self._run(passages, active)
        missing = set(self._by_layer) - set(active.groups)
        if missing:
            raise UnsupportedModelError(
                f"layer {min(missing)} of {type(self._view).__name__} showed no attention to "
                "read: choose heads of other layers, or another model."
            )
        found = []
        for number in range(len(passages)):
            watched = self._in_order(active.watched, number, dim=0)
            found.append(
                Sight(
                    self._in_order(active.groups, number, dim=1),
                    watched.sum(dim=2),
                    None if logits is None else logits[number],
                    watched.permute(2, 0, 1),
                )
            )
        return found

    def _in_order(self, recorded: Mapping[int, list[Tensor]], number: int, dim: int) -> Tensor:
        """What was recorded of a passage, its heads in the reader's order along `dim`."""
        every = torch.cat([recorded[layer][number].cpu() for layer in self._by_layer], dim=dim)
        known = [(layer, head) for layer, heads in self._by_layer.items() for head in heads]
        order = torch.tensor([known.index(head) for head in self.heads])
        return every.index_select(dim, order)

    @torch.inference_mode()
    def _run(self, passages: Sequence[Passage], active: _Pass) -> list[float] | None:
        """One pass; what the classification head says where it is asked."""
        if self.device != self._home:
            raise UnsupportedModelError(
                f"the model was moved from {self._home} to {self.device} after the ranker was "
                "built: build a new ranker"
            )
        longest = max(len(passage.ids) for passage in passages)

        def filled(rows: Iterable[Sequence[int]], filler: int) -> Tensor:
            padded = [[*row, *[filler] * (longest - len(row))] for row in rows]
            return torch.tensor(padded, device=self.device)

        inputs = {
            "input_ids": filled((p.ids for p in passages), self._filler),
            "attention_mask": filled(([1] * len(p.ids) for p in passages), 0),
        }
        if max(max(passage.types) for passage in passages) < self._n_types:
            inputs["token_type_ids"] = filled((p.types for p in passages), 0)
        token = _ACTIVE.set(active)
        try:
            output = self._view(**inputs)
        except StopForward:
            return None
        finally:
            _ACTIVE.reset(token)
        if not self.with_logit:
            return None
        if not torch.isfinite(output.logits).all():
            raise CaptureError(
                f"the model's logits have NaN or infinite values in {self.dtype}: "
                "load the model in float32 or bfloat16 (dtype='float32')."
            )
        return [float(row) for row in output.logits[:, 0]]

    def _hook(self, layer_module: nn.Module, layer: int) -> None:
        """Ask a layer's attention for its weights, read them, and let go of them."""
        telling = [m for m in layer_module.modules() if _tells_attention(m)]
        innermost = [
            m for m in telling if not any(c is not m and c in telling for c in m.modules())
        ]

        def ask(module: nn.Module, args: Any, kwargs: Any) -> Any:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            bound.arguments["output_attentions"] = True
            return bound.args, bound.kwargs

        def listen(module: nn.Module, args: Any, output: Any) -> Any:
            active = _ACTIVE.get()
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            n_tokens = args[0].shape[1]
            # [batch, head, token, token]
            if not isinstance(weights, Tensor) or weights.shape[2:] != (n_tokens, n_tokens):
                raise UnsupportedModelError(
                    f"{type(module).__name__} does not show how its tokens attend to all others: "
                    "pass a model from the README's table of families."
                )
            heads = list(self._by_layer[layer])
            rows = (
                weights[i, heads][:, plan.rows, : plan.n_tokens].float()
                for i, plan in enumerate(active.plans)
            )
            active.keep(layer, rows, weights.dtype)
            if layer == active.stop:
                raise StopForward
            return (output[0], None, *output[2:])

        for module in innermost:
            module.register_forward_pre_hook(ask, with_kwargs=True)
            module.register_forward_hook(listen)


def find_encoder(model: nn.Module, *, with_head: bool = False) -> Any:
    """The transformers encoder inside `model`, without its head unless that is asked for.

    Raises:
        UnsupportedModelError: If there is none.
    """
    inner = unwrapped(model)
    kind = kind_of(inner.config)
    if kind != "encoder":
        raise UnsupportedModelError(
            f"{type(inner).__name__} is {ARTICLE[kind]}, and what is asked for reads an encoder: "
            "pass one such as BERT, or leave out layout."
        )
    return inner if with_head else inner.base_model


def encoder_view(model: Any, n_layers: int | None, implementation: str) -> Any:
    """A view of an encoder, see `shared_view`; `None` for all of its layers."""
    depth = len(find_layers(model)[1])
    view: Any = shared_view(model, n_layers=n_layers or depth, implementation=implementation)
    for module in view.modules():
        if isinstance(getattr(module, "config", None), type(view.config)):
            module.config._attn_implementation = implementation
    return view


def _uses_interface(model: nn.Module) -> bool:
    """Whether the family's code asks the attention interface which function to run."""
    return hasattr(inspect.getmodule(type(model)), "ALL_ATTENTION_FUNCTIONS")


def _tells_attention(module: nn.Module) -> bool:
    """Whether a module returns its attention when it is asked."""
    return "output_attentions" in inspect.signature(module.forward).parameters
