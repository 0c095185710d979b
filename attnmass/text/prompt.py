"""What is written around chunks and query, cut into pieces that are tokenized separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnmass.errors import UnsupportedModelError
from attnmass.text.chunk import Chunk

if TYPE_CHECKING:
    from attnmass.text.tokens import PlainTokenizer

# Any change to the wording below changes scores and needs a new version and new profiles.
PROMPT_VERSION = 1

_CHUNKS, _QUERY = "ATTNMASS0CHUNKS0HERE", "ATTNMASS0QUERY0HERE"
_ANSWER = "\n\nAnswer: "  # before the answer where there is no chat template

# Some templates print the date that they are given, else today's: scores would change overnight.
_FIXED_DATE = "26 Jul 2024"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The wording, by default that of the parallel layout.

    Attributes:
        announce: Said before the chunks. In the parallel layout it says what they are read for,
            which helps: the model reads each chunk without the query.
        instruction: Said between the chunks and the query.
        label: Said right before the query.
    """

    announce: str = "Find the paragraphs that are relevant to the query at the end.\n\n"
    instruction: str = (
        "\n\nPlease find information that is relevant to the following query in the paragraphs "
        "above.\n\n"
    )
    label: str = "Query: "


# In-context re-ranking's wording, to the letter (arXiv 2410.02642); a blank line ends each chunk.
JOINT = Prompt(
    announce="Here are some paragraphs:\n\n",
    instruction="Please find information that are relevant to the following query in the "
    "paragraphs above.\n\n",
)


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Token ids around the chunks, the query and the answer.

    Attributes:
        before: From the start of the template to the first chunk.
        between: From the end of the chunks to the query.
        after: From the end of the query to the model's answer.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...] = ()


def tokenize_prompt(prompt: Prompt, tokenizer: Any, plain: PlainTokenizer) -> PromptTokens:
    """Put a prompt into the model's own chat template and cut it at the chunks and the query.

    What comes after the query is read only where an answer follows it.

    Args:
        prompt: The wording.
        tokenizer: The transformers tokenizer, for its template and its first token.
        plain: Our own copy of the same tokenizer.

    Raises:
        UnsupportedModelError: If the chat template loses what a user turn says.
    """
    content = f"{prompt.announce}{_CHUNKS}{prompt.instruction}{prompt.label}{_QUERY}"
    if getattr(tokenizer, "chat_template", None):
        try:
            rendered = tokenizer.apply_chat_template(
                [{"role": "user", "content": content}],
                tokenize=False,
                add_generation_prompt=True,
                date_string=_FIXED_DATE,
            )
        except Exception as error:
            raise UnsupportedModelError(
                f"the tokenizer's chat template fails on a single user turn: {error}. "
                "Pass a tokenizer whose chat_template takes one, or set none."
            ) from error
    else:
        rendered = f"{tokenizer.bos_token or ''}{content}"
    before, found_chunks, rest = rendered.partition(_CHUNKS)
    between, found_query, after = rest.partition(_QUERY)
    if not (found_chunks and found_query):
        raise UnsupportedModelError(
            "the tokenizer's chat template does not repeat what the user turn says: "
            "pass a tokenizer whose template does, or set none."
        )
    return PromptTokens(
        plain.template(before), plain.template(between), plain.template(after or _ANSWER)
    )


def chunk_text(chunk: Chunk) -> str:
    """What the model reads of a chunk: its title on its own line, then its text."""
    return f"{_lead(chunk)}{chunk.text}{chunk.after}"


def text_start(chunk: Chunk) -> int:
    """Where the chunk's own text begins in `chunk_text`."""
    return len(_lead(chunk))


def _lead(chunk: Chunk) -> str:
    return chunk.before if chunk.title is None else f"{chunk.title}\n{chunk.before}"
