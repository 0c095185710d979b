"""What holds of every trimmed result, whatever the texts and the request."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from tests.contract.adapters import Adapter, Candidate
from tests.contract.theories import counter, make
from tests.trimming.build import words


def trim_and_check(
    adapter: Adapter,
    candidates: Sequence[Candidate],
    options: dict[str, Any],
    query: str,
    ranker: Any = None,
    marker: str | None = None,
) -> int:
    """Trim candidates, restore and cite the result; how many there are.

    Args:
        adapter: One framework.
        candidates: Any.
        options: Of trimming.
        query: Any that is not blank.
        ranker: What ranks; default: a stub.
        marker: Of citations, where the texts may have all of those that are tried.

    Raises:
        AssertionError: If a ceiling is broken, offsets lead elsewhere than to what is kept, a
            second time is another result, what came in was changed, or `restore` does not give it
            back.
    """
    found = adapter.build(candidates)
    before = copy.deepcopy(found)
    rerank = make(adapter, ranker, **options)
    try:
        result = adapter.run(rerank, found, query)
    except ValueError as error:
        assert "for any span" in str(error)  # noqa: PT017 - else it is one more result
        assert options.get("on_empty", "raise") == "raise"
        result = []
    assert found == before

    tokenizer = options.get("tokenizer")
    count = adapter.count
    if tokenizer is not None:
        count = tokenizer if tokenizer in (words, len) else counter(tokenizer)
    shown = [adapter.visible(native)[0] for native in result]
    if shown and options.get("max_tokens") is not None:
        assert count("\n\n".join(shown)) <= options["max_tokens"]
        assert sum(map(count, shown)) <= options["max_tokens"]

    for native, item in zip(result, adapter.read(result), strict=True):
        hidden = item.hidden
        assert json.loads(json.dumps(hidden)) == hidden
        source = candidates[hidden["rank_before"]]
        assert hidden.get("original_text", item.text) == source.text
        at = 0
        for span in hidden["spans"]:
            kept = source.text[span["start"] : span["end"]]
            assert kept
            at = item.text.index(kept, at) + len(kept)
            assert span.get("doc_start") == (
                None if source.offset is None else source.offset + span["start"]
            )
        offset = adapter.offset(native)
        if offset is not None:
            start = offset - source.offset
            assert source.text[start : start + len(item.text)] == item.text
        assert adapter.restore(native) == found[hidden["rank_before"]]
    assert adapter.run(rerank, result, query) == result
    cited = adapter.cite(result, marker)
    assert len(cited.sources) == sum(len(item.hidden["spans"]) for item in adapter.read(result))
    for item, native in zip(adapter.read(result), result, strict=True):
        assert [source.text for source in adapter.cite([native], marker).sources] == [
            candidates[item.hidden["rank_before"]].text[span["start"] : span["end"]]
            for span in item.hidden["spans"]
        ]
    return len(result)
