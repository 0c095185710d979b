"""What holds a model stays in its process, and says what goes to another one instead."""

from __future__ import annotations

from typing import NoReturn

from typing_extensions import Self

_INSTEAD = (
    "is neither pickled nor deep-copied, as it holds a loaded model: pass the model's name, and "
    "have each process call shared_ranker(name); or pass an AttentionRerank of langchain_attn or "
    "llama_index_attn, which leaves the weights behind and loads them again; or a "
    "RemoteRanker(url), so that all processes ask one attnmass serve"
)


def refuse(kind: type) -> NoReturn:
    """Say what to pickle instead.

    Args:
        kind: What was to be pickled.

    Raises:
        TypeError: Always, as Python does for what goes into no pickle.
    """
    raise TypeError(f"{kind.__name__} {_INSTEAD}")


class Stays:
    """Cannot be pickled; `copy.copy` shares all that there is."""

    def __copy__(self) -> Self:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __getstate__(self) -> NoReturn:
        """Not `__reduce__`: a subclass may have a state of its own, and knows what it leaves out.

        Raises:
            TypeError: Always.
        """
        refuse(type(self))
