"""LangChain: the model that answers also reranks, and shows what its answer rests on."""

from __future__ import annotations

from corpus import embedding_model, read_articles
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import ChatHuggingFace, HuggingFaceEmbeddings, HuggingFacePipeline
from langchain_text_splitters import RecursiveCharacterTextSplitter
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline
from transformers.utils import logging

from attnmass.loading.sources import locate
from langchain_attn import AttentionRerank, AttentionRetriever, attribute

logging.set_verbosity_error()
QUESTION = "Who invented the theory of relativity?"


def generator() -> ChatHuggingFace:
    """The chat model of the pipeline: any model would do."""
    source = locate("smollm2-135m")
    files = {} if source.gguf is None else {"gguf_file": source.gguf}
    tokenizer = AutoTokenizer.from_pretrained(source.name, **files)
    model = AutoModelForCausalLM.from_pretrained(source.name, dtype="float32", **files)
    # Set here, since `HuggingFacePipeline` forgets its `pipeline_kwargs` when it is invoked.
    pipe = pipeline(
        "text-generation", model=model, tokenizer=tokenizer, max_new_tokens=60, do_sample=False
    )
    return ChatHuggingFace(llm=HuggingFacePipeline(pipeline=pipe), tokenizer=tokenizer)


def main() -> None:
    """Print the answer, and what each of its sentences looked at."""
    articles = [
        Document(each["text"], metadata={"title": each["title"]}) for each in read_articles()
    ]
    splitter = RecursiveCharacterTextSplitter(chunk_size=900, add_start_index=True)
    store = InMemoryVectorStore(HuggingFaceEmbeddings(model_name=embedding_model()))
    store.add_documents(splitter.split_documents(articles))

    llm = generator()
    rerank = AttentionRerank.from_generator(llm)
    retriever = AttentionRetriever(retriever=store.as_retriever(), rerank=rerank, fetch_k=20, k=5)
    documents = retriever.invoke(QUESTION)
    context = "\n\n".join(document.page_content for document in documents)
    prompt = f"{context}\n\nAnswer in one sentence: {QUESTION}"
    answer = llm.invoke(prompt, skip_prompt=True)
    found = attribute({"input": QUESTION, "context": documents, "answer": answer}, rerank=rerank)
    for sentence in found.sentences:
        print(sentence.text)
        for span in sentence.spans:
            title = documents[span.chunk].metadata["title"]
            place = f"{title}, characters {span.doc_start} to {span.doc_end}"
            print(f"  {span.mass:.3f}  {place}: {' '.join(span.text.split())}")


if __name__ == "__main__":
    main()
