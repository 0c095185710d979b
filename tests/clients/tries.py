"""What each client does with the server: run in an environment that has the clients.

Nothing of attnmass is imported here, and nothing of a client is changed. Each function points one
client at a server by what the client itself offers for that, ranks, and gives back pairs of a
text's index and its score. `python tries.py URL KEY` prints a JSON line for each client that is
installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

QUERY = "Where was Albert Einstein born?"
TEXTS = [
    "Trains to Munich leave every hour from platform two.",
    "Albert Einstein was born in Ulm, a city on the Danube.",
    "The recipe needs two eggs and a cup of flour.",
]

Pairs = list[tuple[int, float]]
Run = Callable[[str, str], Pairs]


@dataclass(frozen=True)
class Try:
    """One client.

    Attributes:
        name: What it is called in the table.
        package: The distribution whose version is told.
        pointed: How it is pointed at a server at B.
        run: Ranks with it.
        needs: A version of the package that it is about, as its beginning.
    """

    name: str
    package: str
    pointed: str
    run: Run
    needs: str = ""


TRIES: list[Try] = []


def tried(name: str, package: str, pointed: str, needs: str = "") -> Callable[[Run], Run]:
    """Add a client to the list."""

    def add(run: Run) -> Run:
        TRIES.append(Try(name, package, pointed, run, needs))
        return run

    return add


def named(found: list[tuple[str, float]]) -> Pairs:
    """Texts as their indices."""
    return [(TEXTS.index(text), float(score)) for text, score in found]


def nodes() -> Any:
    """The texts for LlamaIndex."""
    from llama_index.core.schema import NodeWithScore, TextNode

    return [NodeWithScore(node=TextNode(text=text), score=0.1) for text in TEXTS]


def of_nodes(rerank: Any) -> Pairs:
    """Rank by a node postprocessor."""
    found = rerank.postprocess_nodes(nodes(), query_str=QUERY)
    return named([(each.node.get_content(), each.score) for each in found])


def of_documents(compressor: Any) -> Pairs:
    """Rank by a document compressor."""
    from langchain_core.documents import Document

    found = compressor.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    return named([(each.page_content, each.metadata["relevance_score"]) for each in found])


def of_haystack(ranker: Any) -> Pairs:
    """Rank by a component of Haystack."""
    from haystack import Document

    if hasattr(ranker, "warm_up"):
        ranker.warm_up()
    found = ranker.run(query=QUERY, documents=[Document(content=text) for text in TEXTS])
    return named([(each.content, each.score) for each in found["documents"]])


def cohere_v2(base: str, key: str) -> Pairs:
    """Cohere's own client, second version of its API."""
    import cohere

    client = cohere.ClientV2(api_key=key, base_url=base)
    found = client.rerank(model="rerank-v3.5", query=QUERY, documents=TEXTS, top_n=2)
    return [(each.index, each.relevance_score) for each in found.results]


tried("cohere 5, `ClientV2`", "cohere", "`base_url=B`", "5.")(cohere_v2)
tried("cohere 7, `ClientV2`", "cohere", "`base_url=B`", "7.")(cohere_v2)


@tried("cohere 5, `Client`", "cohere", "`base_url=B`", "5.")
def cohere_v1(base: str, key: str) -> Pairs:
    """Its first version, with documents in the answer."""
    import cohere

    client = cohere.Client(api_key=key, base_url=base)
    found = client.rerank(
        model="rerank-v3.5", query=QUERY, documents=TEXTS, top_n=2, return_documents=True
    )
    for each in found.results:
        assert each.document.text == TEXTS[each.index]
    return [(each.index, each.relevance_score) for each in found.results]


@tried("cohere, `AsyncClientV2`", "cohere", "`base_url=B`")
def cohere_async(base: str, key: str) -> Pairs:
    """The same, awaited."""
    import cohere

    async def run() -> Any:
        client = cohere.AsyncClientV2(api_key=key, base_url=base)
        return await client.rerank(model="any", query=QUERY, documents=TEXTS)

    return [(each.index, each.relevance_score) for each in asyncio.run(run()).results]


@tried("langchain-cohere, `CohereRerank`", "langchain-cohere", "`base_url=B`")
def langchain_cohere(base: str, key: str) -> Pairs:
    """LangChain's."""
    from langchain_cohere import CohereRerank

    return of_documents(CohereRerank(base_url=base, cohere_api_key=key, model="any", top_n=2))


@tried("LlamaIndex, `CohereRerank`", "llama-index-postprocessor-cohere-rerank", "`base_url=B`")
def llama_index_cohere(base: str, key: str) -> Pairs:
    """LlamaIndex's."""
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return of_nodes(CohereRerank(base_url=base, api_key=key, top_n=2))


@tried("LlamaIndex, `JinaRerank`", "llama-index-postprocessor-jinaai-rerank", "`base_url=B/v1`")
def llama_index_jina(base: str, key: str) -> Pairs:
    """LlamaIndex's, for Jina."""
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return of_nodes(JinaRerank(base_url=f"{base}/v1", api_key=key, top_n=2))


@tried(
    "LlamaIndex, `TextEmbeddingInference`",
    "llama-index-postprocessor-tei-rerank",
    "`base_url=B`, `auth_token=KEY`",
)
def llama_index_tei(base: str, key: str) -> Pairs:
    """LlamaIndex's, for TEI; sends the bare key."""
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    return of_nodes(TextEmbeddingInference(base_url=base, auth_token=key, top_n=2))


@tried(
    "LlamaIndex, `MixedbreadAIRerank`",
    "llama-index-postprocessor-mixedbreadai-rerank",
    "`MIXEDBREAD_BASE_URL=B`",
)
def llama_index_mixedbread(base: str, key: str) -> Pairs:
    """LlamaIndex's, for Mixedbread."""
    from llama_index.postprocessor.mixedbreadai_rerank import MixedbreadAIRerank

    os.environ["MIXEDBREAD_BASE_URL"] = base
    return of_nodes(MixedbreadAIRerank(api_key=key, top_n=2))


@tried("LlamaIndex, `NVIDIARerank`", "llama-index-postprocessor-nvidia-rerank", "`base_url=B/v1`")
def llama_index_nvidia(base: str, key: str) -> Pairs:
    """LlamaIndex's, for NVIDIA; looks at the list of models first."""
    from llama_index.postprocessor.nvidia_rerank import NVIDIARerank

    return of_nodes(NVIDIARerank(base_url=f"{base}/v1", api_key=key, top_n=2))


@tried(
    "LlamaIndex, `SiliconFlowRerank`",
    "llama-index-postprocessor-siliconflow-rerank",
    "`base_url=B/v1/rerank`",
)
def llama_index_siliconflow(base: str, key: str) -> Pairs:
    """LlamaIndex's, for SiliconFlow."""
    from llama_index.postprocessor.siliconflow_rerank import SiliconFlowRerank

    return of_nodes(SiliconFlowRerank(base_url=f"{base}/v1/rerank", api_key=key, top_n=2))


def voyage(base: str, key: str) -> Pairs:
    """Voyage's own client."""
    import voyageai

    client = voyageai.Client(api_key=key, base_url=f"{base}/v1")
    found = client.rerank(QUERY, TEXTS, model="rerank-2", top_k=2)
    for each in found.results:
        assert each.document == TEXTS[each.index]
    return [(each.index, each.relevance_score) for each in found.results]


tried("voyageai 0.3", "voyageai", "`base_url=B/v1`", "0.3.")(voyage)
tried("voyageai 0.5", "voyageai", "`base_url=B/v1`", "0.5.")(voyage)


@tried("mixedbread", "mixedbread", "`base_url=B`")
def mixedbread(base: str, key: str) -> Pairs:
    """Mixedbread's own client."""
    from mixedbread import Mixedbread

    client = Mixedbread(api_key=key, base_url=base)
    found = client.rerank(model="any", query=QUERY, input=TEXTS, top_k=2, return_input=True)
    for each in found.data:
        assert each.input == TEXTS[each.index]
    return [(each.index, each.score) for each in found.data]


@tried("tei-client, `HttpClient`", "tei-client", "`HttpClient(B, headers=...)`")
def tei_client(base: str, key: str) -> Pairs:
    """A client of TEI's, which asks first whether it talks to a reranker."""
    from tei_client import HttpClient

    client = HttpClient(base, headers={"Authorization": f"Bearer {key}"})
    found = client.rerank(QUERY, TEXTS, return_text=True)
    return [(each.index, each.score) for each in found.ranks]


@tried("infinity-client", "infinity-client", "`AuthenticatedClient(base_url=B, token=KEY)`")
def infinity(base: str, key: str) -> Pairs:
    """Infinity's own client."""
    from infinity_client import AuthenticatedClient
    from infinity_client.api.default import rerank
    from infinity_client.models import RerankInput

    client = AuthenticatedClient(base_url=base, token=key)
    body = RerankInput(query=QUERY, documents=TEXTS, top_n=2)
    found = rerank.sync(client=client, body=body)
    return [(each.index, each.relevance_score) for each in found.results]


def _of_rerankers(provider: str, path: str) -> Run:
    def run(base: str, key: str) -> Pairs:
        from rerankers.models.api_rankers import APIRanker

        ranker = APIRanker("any", key, provider, url=f"{base}{path}")
        found = ranker.rank(QUERY, TEXTS)
        return named([(each.document.text, each.score) for each in found.results])

    return run


for provider, path in {
    "cohere": "/v1/rerank",
    "jina": "/v1/rerank",
    "voyage": "/v1/rerank",
    "mixedbread.ai": "/v1/reranking",
    "text-embeddings-inference": "/rerank",
}.items():
    tried(f"rerankers, `APIRanker` of {provider}", "rerankers", f"`url=B{path}`")(
        _of_rerankers(provider, path)
    )


@tried("Haystack, `CohereRanker`", "cohere-haystack", "`api_base_url=B`")
def haystack_cohere(base: str, key: str) -> Pairs:
    """Haystack's."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    return of_haystack(CohereRanker(api_key=Secret.from_token(key), api_base_url=base, top_k=2))


@tried("Haystack, `JinaRanker`", "jina-haystack", "`base_url=B/v1/rerank`")
def haystack_jina(base: str, key: str) -> Pairs:
    """Haystack's, for Jina."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    ranker = JinaRanker(api_key=Secret.from_token(key), base_url=f"{base}/v1/rerank", top_k=2)
    return of_haystack(ranker)


@tried("Haystack, `HuggingFaceTEIRanker`", "huggingface-api-haystack", "`url=B`")
def haystack_tei(base: str, key: str) -> Pairs:
    """Haystack's, for TEI."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    return of_haystack(HuggingFaceTEIRanker(url=base, token=Secret.from_token(key), top_k=2))


@tried("langchain-voyageai, `VoyageAIRerank`", "langchain-voyageai", "`base_url=B/v1`")
def langchain_voyage(base: str, key: str) -> Pairs:
    """LangChain's, for Voyage."""
    from langchain_voyageai import VoyageAIRerank

    return of_documents(VoyageAIRerank(api_key=key, base_url=f"{base}/v1", model="any", top_k=2))


@tried(
    "langchain-community, `InfinityRerank`",
    "langchain-community",
    "`Client(base_url=B, headers=...)`",
)
def langchain_infinity(base: str, key: str) -> Pairs:
    """LangChain's, for Infinity."""
    from infinity_client import Client
    from langchain_community.document_compressors.infinity_rerank import InfinityRerank

    client = Client(base_url=base, headers={"Authorization": f"Bearer {key}"})
    return of_documents(InfinityRerank(client=client, model="any", top_n=2))


def _of_litellm(provider: str, path: str) -> Run:
    def run(base: str, key: str) -> Pairs:
        import litellm

        found = litellm.rerank(
            model=f"{provider}/any",
            query=QUERY,
            documents=TEXTS,
            top_n=2,
            api_base=f"{base}{path}",
            api_key=key,
        )
        return [(each["index"], each["relevance_score"]) for each in found.results]

    return run


for provider, path in {
    "cohere": "",
    "litellm_proxy": "",
    "azure_ai": "",
    "jina_ai": "/v1",
    "voyage": "/v1",
    "huggingface": "",
    "hosted_vllm": "",
    "nvidia_nim": "",
    "together_ai": "/v1",
    "scaleway": "/v1",
    "infinity": "/infinity",
}.items():
    tried(f"litellm, `rerank` with {provider}", "litellm", f"`api_base=B{path}`")(
        _of_litellm(provider, path)
    )


def main(base: str, key: str) -> None:
    """Try each client that is installed."""
    for each in TRIES:
        try:
            version = metadata.version(each.package)
        except metadata.PackageNotFoundError:
            continue
        if not version.startswith(each.needs):
            continue
        told: dict[str, Any] = {
            "client": each.name,
            "package": each.package,
            "version": version,
            "pointed": each.pointed,
        }
        started = time.perf_counter()
        try:
            told["pairs"] = each.run(base, key)
        except Exception as error:
            told["error"] = f"{type(error).__name__}: {error}"[:500]
            traceback.print_exc()
        try:
            told["with_a_wrong_key"] = str(each.run(base, "wrong"))
        except Exception as error:
            told["refused"] = f"{type(error).__name__}: {error}"[:200]
        told["seconds"] = round(time.perf_counter() - started, 3)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
