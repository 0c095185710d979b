"""Reads the attention of selected heads of an encoder, over several passages side by side."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnmass.capture.core import Head, ViewReader, check_finite, deepest, in_order
from attnmass.capture.encoder_pass import ACTIVE, INTERFACE, EncoderPass, Passage, Plan
from attnmass.capture.forward import StopForward, passing
from attnmass.errors import UnsupportedModelError
from attnmass.models.kinds import ARTICLE, kind_of, unwrapped
from attnmass.models.state import ModelState
from attnmass.models.view import asks_interface, find_layers, layers_above, shared_view


@dataclass(frozen=True, slots=True)
class Sight:
    """Where the selected heads look in one passage; fp32 on the CPU.

    Attributes:
        groups: Attention averaged over the tokens of each group, `[group, head, token]`.
        to_watched: Share of each token's attention that the watched ones get, `[head, token]`;
            no tokens where none are watched.
        logit: What the classification head says about the passage; `None` where it is not asked.
        to_each: Share of each token's attention that each of the watched ones gets,
            `[watched, head, token]`.
    """

    groups: Tensor
    to_watched: Tensor
    logit: float | None = None
    to_each: Tensor | None = None


class EncoderReader(ViewReader):
    """A transformers encoder, cut after the last selected head unless its logit is wanted.

    See also `ViewReader`.

    Attributes:
        with_logit: Whether the classification head is run as well.
    """

    def __init__(
        self, model: nn.Module, heads: Iterable[Head], *, with_logit: bool = False
    ) -> None:
        """Build the view.

        Args:
            model: A transformers encoder, with or without a head, or something that wraps one.
            heads: `(layer, head)`, 0-based, as in a checked profile.
            with_logit: Whether to run the one-label classification head that it has.

        Raises:
            UnsupportedModelError: If the model's attention cannot be read.
        """
        whole = find_encoder(model, with_head=with_logit)
        heads = tuple(heads)
        path = "interface" if asks_interface(whole) else "eager"
        implementation = INTERFACE if path == "interface" else "eager"
        n_layers = len(find_layers(whole)[1]) if with_logit else deepest(heads) + 1

        def find() -> Any:
            return find_encoder(model, with_head=with_logit)

        state = ModelState(
            lambda: {"": find()},
            lambda: layers_above(find(), n_layers),
            lambda: encoder_view(find(), n_layers, implementation),
        )
        super().__init__(state, whole.config, heads, path)
        self.with_logit = with_logit
        self._bind()
        takes = inspect.signature(whole.forward).parameters
        n_types = getattr(self.config, "type_vocab_size", 0) or 0
        self._n_types = n_types if "token_type_ids" in takes else 0
        filler = getattr(self.config, "pad_token_id", None)
        self._filler = 0 if filler is None else int(filler)

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model takes at once, or `None` for no limit.

        Families that count positions from after the padding's (RoBERTa, MPNet) take fewer tokens
        than they have positions.
        """
        for name, module in self._view.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                padding = module.padding_idx
                return module.num_embeddings - (0 if padding is None else padding + 1)
        limit = getattr(self.config, "max_position_embeddings", None)
        return int(limit) if limit else None

    def look(self, passages: Sequence[Passage]) -> list[Sight]:
        """Read passages in one pass; shorter ones are padded at their end, where nothing is seen.

        Args:
            passages: At least one, each of at least one token.

        Raises:
            CaptureError: If the attention has NaN.
            UnsupportedModelError: If a layer has no attention to read.
        """
        plans = [Plan(passage, self.device) for passage in passages]
        stop = None if self.with_logit else self.last_layer
        active = EncoderPass(plans, self._layers, self._by_layer, stop)
        logits = self._run(passages, active)
        self._check_recorded(
            active.groups,
            self._view,
            "showed no attention to read: choose heads of other layers, or another model.",
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

    def _bind(self) -> None:
        _, layers = find_layers(self._view)
        self._layers = {id(m): n for n, layer in enumerate(layers) for m in layer.modules()}
        if self.path == "eager":
            for layer in self._by_layer:
                self._hook(layers[layer], layer)

    def _in_order(self, recorded: Mapping[int, list[Tensor]], number: int, dim: int) -> Tensor:
        """What was recorded of a passage, its heads in the reader's order along `dim`."""
        mine = {layer: recorded[layer][number].cpu() for layer in self._by_layer}
        return in_order(mine, self.heads, dim)

    def _run(self, passages: Sequence[Passage], active: EncoderPass) -> list[float] | None:
        """One pass; what the classification head says where it is asked."""
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
        with passing(ACTIVE, active), self._running():
            output = self._view(**inputs)
        if not self.with_logit:
            return None
        check_finite(output.logits, "the model's logits have", self.dtype)
        return [float(row) for row in output.logits[:, 0]]

    def _hook(self, layer_module: nn.Module, layer: int) -> None:
        """Ask a layer's attention for its weights, read them, and release them."""
        telling = [m for m in layer_module.modules() if _tells_attention(m)]
        innermost = [
            m for m in telling if not any(c is not m and c in telling for c in m.modules())
        ]

        heads = list(self._by_layer[layer])  # a hook that held its reader would keep both alive

        def ask(module: nn.Module, args: Any, kwargs: Any) -> Any:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            bound.arguments["output_attentions"] = True
            return bound.args, bound.kwargs

        def listen(module: nn.Module, args: Any, output: Any) -> Any:
            active = ACTIVE.get()
            weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
            n_tokens = args[0].shape[1]
            # [batch, head, token, token]
            if not isinstance(weights, Tensor) or weights.shape[2:] != (n_tokens, n_tokens):
                raise UnsupportedModelError(
                    f"{type(module).__name__} does not show how its tokens attend to all others: "
                    "pass a model from the documentation's table of families."
                )
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


def encoder_view(model: Any, n_layers: int, implementation: str) -> Any:
    """A view of an encoder, see `shared_view`."""
    view: Any = shared_view(model, n_layers=n_layers, implementation=implementation)
    for module in view.modules():
        if isinstance(getattr(module, "config", None), type(view.config)):
            module.config._attn_implementation = implementation
    return view


def _tells_attention(module: nn.Module) -> bool:
    """Whether a module returns its attention when it is asked."""
    return "output_attentions" in inspect.signature(module.forward).parameters
