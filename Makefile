# The verbs. A machine with Python 3.11 or newer, git and make needs nothing else: every verb first makes .venv if it is
# missing or older than pyproject.toml. `make help` lists them.

# The first interpreter that is new enough and can make a virtual environment; or say `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	"$$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& command -v "$$name" && break; done)
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The extra `hub` is left out: its tests use a fake, and it is larger than all the rest.
EXTRAS := embedded,forked,math,evaluate,fast,serve,otel,dev

.DEFAULT_GOAL := help
.PHONY: help install demo demo-short pool pool-picture test test-model test-browser peers test-peers clients test-clients fuzz soak lint format check docs tiny bench clean

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(STAMP)  ## make .venv with everything the other verbs need

demo: $(STAMP)  ## a real model on this machine: table, plot and report in demo-output/ (about five minutes)
	@$(BIN)/outthink demo

demo-short: $(STAMP)
	@$(BIN)/outthink demo --short

PROBLEMS ?= 112
SAMPLES ?= 64
POOLS := examples/pools

pool: $(STAMP)  ## record the project's own pool with the embedded model; resumable (about half an hour)
	@$(BIN)/python $(POOLS)/problems.py $(PROBLEMS) > $(POOLS)/arithmetic.jsonl
	@$(BIN)/outthink record $(POOLS)/arithmetic.jsonl --task arithmetic --model embedded --samples $(SAMPLES) --seed 7 \
		--logprobs 20 --pool $(POOLS)/arithmetic.parquet \
		--provenance "outthink record: SmolLM2-135M-Instruct on one-step arithmetic word problems made by Outthink (seed 7)" \
		--licence "Apache-2.0"
	@$(BIN)/outthink pool validate $(POOLS)/arithmetic.parquet

pool-picture: $(STAMP)  ## draw docs/images/pool.png from that pool (about five minutes)
	@$(BIN)/outthink eval --pool $(POOLS)/arithmetic.parquet --budgets "1,2,4,8,16,32 samples" --replicates 4 \
		--strategies majority,self_certainty,rpc,deepconf,adaptive_consistency,early_stopping_consistency --report build/pool \
		|| test $$? -eq 1  # some runs have no answer, which is a result too
	@cp build/pool/plot.png docs/images/pool.png

test: $(STAMP)  ## every test that needs no model file
	$(BIN)/python -m pytest -q -n $(JOBS) -m "not model"

test-model: $(STAMP)  ## the tests that run the embedded model
	$(BIN)/python -m pytest -q -m model

test-browser: $(STAMP)  ## the tests of the page, in headless Chromium (part of `make test` where it is installed)
	$(BIN)/python -m pytest -q -m browser

# Other projects that do what we do, each in an environment of its own: a folder's name, and what is installed there.
PEERS := .peers
PEER_its_hub := its-hub>=1.2,<2
PEER_treequest := treequest>=0.1

peers: $(PEERS)/its_hub/.installed $(PEERS)/treequest/.installed  ## make the environments of other projects that tests compare with

test-peers: $(STAMP) peers  ## the tests that compare with them
	$(BIN)/python -m pytest -q -m peers

# Clients that people use, unmodified, against our gateway; they live beside the peers. The JavaScript one needs Node and npm.
PEER_langchain := langchain-openai>=1,<2
PEER_litellm := litellm>=1.70,<2 mcp>=1
# Not a client but whoever means harm. What is fuzzed by coverage runs inside of the fuzzer, so the project is in there too.
PEER_fuzz := -e .[serve] atheris>=3,<4 hypothesis>=6.120 pytest>=8.3 schemathesis>=4,<5
FUZZ_SECONDS ?= 600
SOAK_MINUTES ?= 10
JAVASCRIPT := $(PEERS)/openai_javascript/node_modules

clients: $(PEERS)/langchain/.installed $(PEERS)/litellm/.installed $(JAVASCRIPT)  ## make the environments of clients that tests run

test-clients: $(STAMP) clients  ## the tests that run those clients against the gateway
	$(BIN)/python -m pytest -q -m clients

fuzz: $(STAMP) $(PEERS)/fuzz/.installed  ## hunt for requests that break the gateway, FUZZ_SECONDS by bodies and again by its description
	@mkdir -p build/fuzz
	$(PEERS)/fuzz/bin/python tests/gateway/fuzz_bodies.py build/fuzz/corpus -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/fuzz/
	$(BIN)/python -m tests.gateway.fuzz_schema $(FUZZ_SECONDS)

soak: $(STAMP)  ## mixed load with faults on the gateway for SOAK_MINUTES: nothing lost, accounts true, memory flat
	$(BIN)/python benchmarks/soak.py --minutes $(SOAK_MINUTES)

$(JAVASCRIPT):
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $(@D) 'openai@^6'; \
	else echo "npm isn't here: OpenAI's JavaScript client is left out"; fi

$(PEERS)/%/.installed:
	@"$(PYTHON)" -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(foreach each,$(PEER_$*),'$(each)')
	@touch $@

lint: $(STAMP)  ## style, types and the dependency rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP)  ## rewrite the sources in the one style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

check: lint test test-model demo-short  ## everything, as CI does

docs: $(STAMP)  ## write the generated parts of docs/ again
	@$(BIN)/outthink strategies --markdown > docs/.strategies && \
	sed -i.old -e '/^| strategy |/,$$d' docs/strategies.md && cat docs/.strategies >> docs/strategies.md && \
	rm docs/.strategies docs/strategies.md.old
	@$(BIN)/python -m outthink.gateway.config.reference docs/gateway-operation.md

MINUTES ?= 72

tiny: $(STAMP)  ## train the tiny reasoner and its verifiers from scratch in build/tiny; resumable (about 80 minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train]'
	@$(BIN)/python -m train.tiny --minutes $(MINUTES) --folder build/tiny
	@$(BIN)/python -m train.tiny.check --folder build/tiny
	@$(BIN)/python -m train.tiny.measure --folder build/tiny
	@$(BIN)/python -m train.tiny.measure_rewards --folder build/tiny

bench: $(STAMP)  ## the figures of the README and the closing notes
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean:  ## remove what the verbs made
	rm -rf $(VENV) $(PEERS) demo-output build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(STAMP): pyproject.toml
	@if ! "$(PYTHON)" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		echo "outthink needs Python 3.11 or newer with the venv module; tried: $(or $(PYTHON),python3 and python3.11 to 3.14)." >&2; \
		echo "Install one (on Debian and Ubuntu: python3 and python3-venv) or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; fi
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "Installing outthink and its tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@
