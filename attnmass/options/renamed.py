"""Names that options had before, so that whoever still uses them is told what to write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attnmass.options.checks import did_you_mean

# For one release.
RENAMED = {
    "cache_bytes": "memory_bytes",
    "cache_folder": "store",
    "cache_folder_bytes": "store_bytes",
    "cache_format": "store_format",
    "cross": "reading=PointwiseReading(cross=...)",
    "direction": "reading=PointwiseReading(direction=...)",
    "max_context_tokens": "reading=JointReading(max_context_tokens=...)",
    "score_threshold": "min_relevance",
    "second_pass": "reading=JointReading(second_pass=...)",
}

# What other rerankers call them, where another name of ours is nearer.
_OF_OTHERS = {
    "base_compressor": "rerank",
    "compressor": "rerank",
    "k": "top_n",
    "model_name": "model",
    "similarity_top_k": "fetch_k",
    "scores": "retrieval_scores",
    "similarity_cutoff": "min_relevance",
    "top_k": "top_n",
    "topk": "top_n",
}


def check_known(
    given: Iterable[str], known: Iterable[str], elsewhere: Mapping[str, str] | None = None
) -> None:
    """Raise `TypeError` for an option that there is not, with what to write instead.

    Args:
        given: What somebody wrote.
        known: The options that there are.
        elsewhere: Options of other calls, each with the call that it is for.
    """
    known = list(known)
    for name in given:
        if name not in known:
            call = (elsewhere or {}).get(name)
            then = what_then(name, known) if call is None else f" It is an option of {call}."
            raise TypeError(f"unexpected keyword argument {name!r}.{then}")


def check_names(owner: type, given: Iterable[object], known: Iterable[str]) -> None:
    """Raise `ValueError` for a field that there is not, if one that there is is near.

    Args:
        owner: Whose fields they are.
        given: What somebody wrote.
        known: The fields that there are.
    """
    known = sorted(known)
    for name in sorted(set(map(str, given)).difference(known)):
        if near := what_then(name, known):
            raise ValueError(f"{owner.__name__} has no field {name!r}.{near}")


def what_then(name: str, known: Iterable[str]) -> str:
    """What to write instead of an option that there is not; `""` if nothing is near.

    Args:
        name: What somebody wrote.
        known: The options that there are.
    """
    if name in RENAMED:
        return f" It is {RENAMED[name]} now."
    known = list(known)
    if _OF_OTHERS.get(name) in known:
        return f" Did you mean {_OF_OTHERS[name]!r}?"
    return did_you_mean(name, known)
