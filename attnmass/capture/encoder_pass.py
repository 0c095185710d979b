"""One forward pass of an encoder: which rows of its attention are kept, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from attnmass.capture.core import check_finite
from attnmass.capture.forward import StopForward

# A view names it in its own config; no other model ever sees it.
INTERFACE = "attnmass_encoder"


@dataclass(frozen=True, slots=True)
class Passage:
    """Tokens that are read together, control tokens included.

    Attributes:
        ids: Token ids.
        types: Token type of each; models without such types do not get them.
        groups: Indices of tokens whose attention is averaged, at least one for each group.
        watched: Indices of the tokens for which is reported how much attention every token pays
            them.
    """

    ids: tuple[int, ...]
    types: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    watched: tuple[int, ...] = ()


class Plan:
    """Which rows of a passage's attention are needed, and what is made from them."""

    def __init__(self, passage: Passage, device: torch.device) -> None:
        self.n_tokens = len(passage.ids)
        wanted = range(self.n_tokens) if passage.watched else {t for g in passage.groups for t in g}
        rows = sorted(wanted)
        place = {row: number for number, row in enumerate(rows)}
        averaging = torch.zeros(len(passage.groups), len(rows), dtype=torch.float32)  # [group, row]
        for number, group in enumerate(passage.groups):
            averaging[number, [place[token] for token in group]] = 1 / len(group)
        self.rows = torch.tensor(rows, device=device)
        self.averaging = averaging.to(device)
        self.watched = torch.tensor(passage.watched, dtype=torch.long, device=device)


@dataclass
class EncoderPass:
    """One forward pass of a view. Used by one thread, once.

    Attributes:
        plans: One for each row of the batch.
        layers: Layer number by the `id` of each module in the layers.
        heads: The selected heads, by layer.
        stop: The layer after which nothing is needed; `None` where the whole model is needed.
        groups: By layer, for each passage, `[group, selected, token]`.
        watched: By layer, for each passage, `[selected, token, watched]`.
    """

    plans: Sequence[Plan]
    layers: Mapping[int, int]
    heads: Mapping[int, Sequence[int]]
    stop: int | None
    groups: dict[int, list[Tensor]] = field(default_factory=dict)
    watched: dict[int, list[Tensor]] = field(default_factory=dict)

    def keep(self, layer: int, rows: Iterable[Tensor], dtype: torch.dtype) -> None:
        """Take each passage's rows of attention, fp32, `[selected, row, token]`."""
        self.groups[layer], self.watched[layer] = [], []
        for plan, weights in zip(self.plans, rows, strict=True):
            check_finite(weights, f"attention of layer {layer} has", dtype)
            averaging = plan.averaging.to(weights.device)
            self.groups[layer].append(torch.einsum("gr,srt->gst", averaging, weights))
            self.watched[layer].append(weights[:, :, plan.watched.to(weights.device)])


ACTIVE: ContextVar[EncoderPass] = ContextVar("attnmass_encoder_pass")


def attention_function(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """What views name as their attention; see `transformers.AttentionInterface`."""
    # Views are in eval mode, so there is no dropout; any other difference fails the proof at load.
    active = ACTIVE.get()
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
    query: Tensor, key: Tensor, mask: Tensor | None, number: int, plan: Plan, scaling: float
) -> Tensor:
    """The rows that a plan asks for, fp32, `[selected, row, token]`; padding is cut off.

    Args:
        query: That of one passage, `[selected, token, dim]`.
        key: Likewise.
        mask: That of the batch, `[batch, 1, token, token]`, `True` where a token may look.
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
