"""LlamaIndex: a server in place of TEI, by LlamaIndex's integration, with trimming by ours."""

from __future__ import annotations

from corpus import QUESTIONS, show, show_spans
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
from shared_llama_index import open_index
from shared_server import served
from transformers.utils import logging

from llama_index_attn import AttentionRerank, cite

logging.set_verbosity_error()


def main() -> None:
    """Print a question's best chunks, then the sentences in them that matter."""
    retriever = open_index().as_retriever(similarity_top_k=20)
    question = QUESTIONS[0]
    before = {each.node_id: n for n, each in enumerate(retriever.retrieve(question), start=1)}
    with served() as url:
        theirs = TextEmbeddingInference(base_url=url, top_n=5, timeout=600)
        nodes = theirs.postprocess_nodes(retriever.retrieve(question), query_str=question)
        show(
            question,
            (
                (
                    now,
                    before[each.node_id],
                    each.score or 0.0,
                    each.metadata["title"],
                    each.node.get_content(),
                )
                for now, each in enumerate(nodes, start=1)
            ),
        )
        ours = AttentionRerank(model=url, max_tokens=120, timeout=600)
        cited = cite(ours.postprocess_nodes(retriever.retrieve(question), query_str=question))
        show_spans(
            (source.metadata["title"], source.doc_start, source.doc_end, source.text)
            for source in cited.sources
        )


if __name__ == "__main__":
    main()
