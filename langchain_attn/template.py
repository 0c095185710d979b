"""Document templates: `{page_content}` and metadata, as LangChain formats them."""

from __future__ import annotations

from string import Formatter
from typing import Any

from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate

TEXT = "page_content"
PLAIN = "{page_content}"


class Template:
    """A template that is cut at the first `{page_content}`, so that the text's place is known."""

    def __init__(self, name: str, template: str) -> None:
        """Read it.

        Args:
            name: The field's name, for errors.
            template: Python's format syntax, as in `PromptTemplate`.

        Raises:
            ValueError: If it is malformed or lacks a plain `{page_content}`.
        """
        try:
            self._prompt = PromptTemplate.from_template(template)
        except ValueError as error:
            raise ValueError(f"{name} {template!r} is malformed: {error}") from error
        self._name = name
        self._template = template
        self._before, found, self._after = _cut(template)
        if not found:
            raise ValueError(f"{name} must contain {PLAIN}, not just {template!r}")
        self._keys = [key for key in self._prompt.input_variables if key != TEXT]

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but the text."""
        return self._template == PLAIN

    @property
    def keys(self) -> list[str]:
        """The metadata keys that it names."""
        return self._keys

    def check(self, index: int, document: Document) -> None:
        """Raise `ValueError` if a document lacks metadata that the template names."""
        for key in self._keys:
            if key not in document.metadata:
                raise ValueError(
                    f"document {index} has no metadata {key!r}, which {self._name} "
                    f"{self._template!r} names: add it to the document, or take it out of the "
                    "template"
                )

    def around(self, index: int, document: Document) -> tuple[str, str]:
        """What is before the text, and what is after it.

        Raises:
            ValueError: As `check`.
        """
        self.check(index, document)
        values = {key: document.metadata[key] for key in self._keys}
        values[TEXT] = document.page_content  # once more, if it is named again
        formatter = Formatter()
        return (
            formatter.vformat(self._before, (), values),
            formatter.vformat(self._after, (), values),
        )

    def format(self, document: Document, text: str) -> str:
        """The document with another text, as `format_document` of LangChain formats it.

        There a metadata key `page_content` comes before the text.
        """
        info: dict[str, Any] = {TEXT: text, **document.metadata}
        return self._prompt.format(**{key: info[key] for key in (TEXT, *self._keys)})


def _cut(template: str) -> tuple[str, bool, str]:
    """The template before and after the first `{page_content}`, and whether there is one."""
    halves = ["", ""]
    found = False
    for literal, name, spec, conversion in Formatter().parse(template):
        halves[found] += literal.replace("{", "{{").replace("}", "}}")
        if name is None:
            continue
        if name == TEXT and not spec and not conversion and not found:
            found = True
            continue
        convert = f"!{conversion}" if conversion else ""
        halves[found] += f"{{{name}{convert}{':' + spec if spec else ''}}}"
    return halves[0], found, halves[1]
