"""What nodes take of `max_tokens`, as the LLM gets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from llama_index.core.schema import MetadataMode, NodeWithScore

if TYPE_CHECKING:
    from attnmass.trimming import TokenCounter, Trim


def n_tokens(trim: Trim, nodes: Sequence[NodeWithScore]) -> int:
    """Tokens of the nodes together; synthesizers leave out what renders to nothing."""
    return _counter(trim).total(_rendered(nodes))


def reserve(trim: Trim, nodes: Sequence[NodeWithScore]) -> int:
    """Tokens to hold back for nodes without text.

    Raises:
        ValueError: If they alone are too much: no node without text is ever left out.
    """
    if trim.max_tokens is None:
        return 0
    if (taken := n_tokens(trim, nodes)) > trim.max_tokens:
        raise ValueError(
            f"nodes without text take {taken} tokens of metadata, more than max_tokens="
            f"{trim.max_tokens}: raise max_tokens, or exclude metadata keys from the LLM"
        )
    count = _counter(trim)
    return sum(count(text) + count("\n\n") for text in _rendered(nodes))


def less(trim: Trim, taken: int) -> Trim:
    """The same request with this many tokens fewer.

    Raises:
        ValueError: If none are left and `on_empty` is `"raise"`.
    """
    if not taken or trim.max_tokens is None:
        return trim
    if taken < trim.max_tokens:
        return replace(trim, max_tokens=trim.max_tokens - taken)
    if trim.on_empty == "raise" and not trim.dry_run:
        raise ValueError(
            f"nodes without text take {taken} tokens of max_tokens={trim.max_tokens}, which leaves "
            "none for text: raise max_tokens, or pass on_empty='empty'"
        )
    # Of no text can anything be kept where one token is left and everything counts as two.
    return replace(trim, max_tokens=1, on_empty="empty", tokenizer=lambda text: 2)


def _counter(trim: Trim) -> TokenCounter:
    return cast("TokenCounter", trim.counter)  # there is one: LlamaIndex has a default


def _rendered(nodes: Sequence[NodeWithScore]) -> list[str]:
    texts = [found.node.get_content(MetadataMode.LLM) for found in nodes]
    return [text for text in texts if text]
