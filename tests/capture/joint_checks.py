"""The joint layout of every decoder family: against a plain causal forward over the whole text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor

from attnmass.capture import Reader
from attnmass.layouts import JointLayout, LayoutOptions
from attnmass.text.tokens import PlainTokenizer
from tests.capture.checks import HEADS

BEFORE = "Here are some paragraphs:\n\n"
BETWEEN = (
    "Please find information that are relevant to the following query in the paragraphs above.\n\n"
    "Query: "
)
CHUNKS = ["the river runs through a city", "trains and books", "Einstein wrote in 1905"]
QUERIES = ["who wrote the theory ?", "which city"]
NULL = "N/A"
_WORDS = f"{BEFORE} {BETWEEN} {NULL} {' '.join((*CHUNKS, *QUERIES))} [1] [2] [3] \n\n"


def tokenizer() -> Any:
    """A token for each word and for a blank line, so that prompts fit into tiny models."""
    split = pre_tokenizers.Split(Regex(r"\n\n|\S+"), behavior="removed", invert=True)
    words = dict.fromkeys(word for word, _ in split.pre_tokenize_str(_WORDS))
    vocabulary = {word: number for number, word in enumerate(words, 5)}
    made = Tokenizer(models.WordLevel({"<unk>": 3, **vocabulary}, unk_token="<unk>"))
    made.pre_tokenizer = split
    return SimpleNamespace(backend_tokenizer=made, chat_template=None, bos_token=None)


def eager(model: Any, ids: list[int], n_rows: int) -> Tensor:
    """Mean attention of the last rows in one plain causal forward, `[head, key]`."""
    model.config._attn_implementation = "eager"  # also families without a setter for it
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([ids]), output_attentions=True, use_cache=False)
    rows = [out.attentions[layer][0, head, -n_rows:].float() for layer, head in HEADS]
    return torch.stack(rows).mean(dim=1)


def gap_to_eager(model: Any, max_batch_tokens: int) -> float:
    """Largest difference on any token of chunks, prompt and query, the null query's included.

    Args:
        model: A tiny model of the family.
        max_batch_tokens: Bound on a pass: few make pieces of the context, many let queries share.
    """
    made = tokenizer()

    def encode(text: str) -> list[int]:
        return list(made.backend_tokenizer.encode(text).ids)

    context, spans = encode(BEFORE), []
    for number, chunk in enumerate(CHUNKS, 1):
        context += encode(f"[{number}] ")
        spans.append((len(context), len(context) + len(encode(chunk))))
        context += encode(chunk) + encode("\n\n")
    assert made.backend_tokenizer.token_to_id("<unk>") not in context

    reader = Reader(model, HEADS)
    layout = JointLayout(reader, made, PlainTokenizer(made))
    rows: list[Tensor] = []  # of each query in turn, on its own context and tokens
    look = reader.look

    def spy(ids: Tensor, positions: Tensor, *rest: Any, **named: Any) -> Tensor:
        found = look(ids, positions, *rest, **named)
        segments = named["segments"]
        for number, attention in enumerate(found):
            own = (segments == number).nonzero()[:, 0] + len(context)
            others = (segments != number).nonzero()[:, 0] + len(context)
            assert float(attention[:, others].abs().sum()) == 0
            rows.append(torch.cat([attention[:, : len(context)], attention[:, own]], dim=1))
        return found

    reader.look = spy  # type: ignore[method-assign]
    plain = PlainTokenizer(made)
    options = LayoutOptions(max_batch_tokens=max_batch_tokens, null_query=True)
    result = layout.attend(plain.content(QUERIES), plain.content(CHUNKS), options, lambda _: None)

    expected = [
        eager(model, context + encode(BETWEEN) + encode(query), len(encode(query)))
        for query in (*QUERIES, NULL)
    ]
    gaps = [_gap(one, other) for one, other in zip(rows, expected, strict=True)]
    for query, want in zip(result.queries, expected, strict=False):
        assert query.null is not None
        parts = zip(query.chunks, query.null, spans, strict=True)
        for mine, null, (start, end) in parts:
            gaps += [_gap(mine, want[:, start:end]), _gap(null, expected[-1][:, start:end])]
    return max(gaps)


def _gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())
