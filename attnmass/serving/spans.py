"""What clients of this package ask, which choose spans themselves: scores, and by which model."""

from __future__ import annotations

import hashlib
import json
from copy import copy
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from attnmass.client.wire import told_scored
from attnmass.engine.asking import Asked
from attnmass.options.declared import Scoring, Trimming, names_of, option
from attnmass.serving.asked import Text, query_of
from attnmass.serving.errors import bad_requests
from attnmass.serving.own import OwnForm
from attnmass.serving.work import RankSpans

if TYPE_CHECKING:
    from attnmass.ranker import AttentionRanker

_MOST_QUERIES = 64
_SCORING = names_of(Scoring)


class SpansForm(OwnForm, Scoring):
    """Documents and all their spans with their scores, for each of some queries."""

    queries: Annotated[list[Text], Field(min_length=1, max_length=_MOST_QUERIES)]
    spans: bool = option(True, "Whether spans are scored, too")
    language: str | None = copy(Trimming.model_fields["language"])  # type: ignore[assignment]
    leaning: bool = option(False, "Whether it is told what spans lean on, for resolve_context")
    query_words: bool = option(False, "Whether traces tell where each word of the query looked")
    traces: bool = option(False, "Whether the attention goes along that a heat map is drawn of")

    def work(self) -> RankSpans:
        """See `OwnForm.work`."""
        options = self.model_dump(include=set(_SCORING)) | self.retrieval
        options["query_words"] = self.query_words
        with bad_requests():
            Asked(**options).check(len(self.documents))
        how = {"spans": self.spans, "language": self.language, "leaning": self.leaning}
        return RankSpans(
            tuple(map(query_of, self.queries)),
            self.chunks,
            options,
            how,
            partial(told_scored, traces=self.traces),
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Which ranker this is, for clients that keep what they were told about it.

    Attributes:
        profile: Its head profile, as a file holds it.
        options: How else it reads.
        tokenizer: The model's, in the format of the tokenizers package.
        digest: That of all three.
    """

    profile: dict[str, Any]
    options: dict[str, Any]
    tokenizer: str
    digest: str

    @classmethod
    def of(cls, ranker: AttentionRanker) -> Identity:
        """The identity of a ranker."""
        reading = ranker.options["reading"]
        plain = None if reading is None else reading.model_dump()
        options = {**ranker.options, "reading": plain}
        if plain is not None and reading.layout == "pointwise" and reading.cross is not None:
            plain["cross"] = asdict(reading.cross)
        profile, tokenizer = ranker.profile.to_json(), ranker.tokenizer.to_str()
        said = "\n".join([profile, json.dumps(options, sort_keys=True), tokenizer])
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return cls(json.loads(profile), options, tokenizer, digest)

    @property
    def told(self) -> dict[str, Any]:
        """What `GET /v1/ranker` says."""
        return {
            "ranker": self.digest,
            "version": version("attnmass"),
            "profile": self.profile,
            "options": self.options,
        }
