# Copyright The otel-tts Authors
# SPDX-License-Identifier: Apache-2.0

# make creates .venv itself and fills it in two steps, from locks: demo.lock for what runs, dev.lock for the rest.
# demo.lock is a part of dev.lock, so one environment serves both and the second step only adds to it.

PYTHON ?= python3
BIN := .venv/bin
DEMO := .venv/demo.stamp
DEV := .venv/dev.stamp
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --prerelease=if-necessary-or-explicit \
	--no-annotate --custom-compile-command 'make lock' $(UPGRADE)

# Libraries that otel-tts is compared with live without it, and without its constraints.
PEERS := $(wildcard tests/environments/peers-*.in)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: python help demo test check test-engines servers test-containers soak lint matrix bench bench-peers docs dashboards lock clean stack-build stack-up stack-status stack-down

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO) ## speak a few sentences with a small CPU voice and show what was recorded
	$(BIN)/otel-tts demo

test: lint ## lint, build the servers where Go is, run all tests
	@if command -v go >/dev/null || [ "$$CI" = true ]; then $(BIN)/otel-tts stack build; \
	else echo "make test: no Go on PATH, so the servers cannot be built; the tests that need them are skipped"; fi
	$(BIN)/pytest
	$(BIN)/python tests/environments/run.py usual

check: lint ## lint and the unit tests, in under three minutes
	$(BIN)/pytest -q -n auto -m "not bench and not containers and not thorough" tests/unit

ENGINES ?= all
test-engines: $(DEV) ## only the tests in environments of their own (all: 14 GB, once; ENGINES=torch for one of them)
	$(BIN)/python tests/environments/run.py $(ENGINES)

servers: $(DEV) ## only the tests of what requests come in by: each web server, queue and voice agent of docs/servers.md
	$(BIN)/python tests/environments/servers.py; status=$$?; $(BIN)/python docs/generate.py && exit $$status

test-containers: $(DEV) ## Tempo and Loki from their images, where Docker is (RECORD=1 keeps what they answer)
	$(BIN)/pytest -m containers -rs tests/containers

soak: $(DEV) ## full sizes: 300 trials of each staged cause, every web server, a gigabyte of files, the archive killed at each line, 100 000 traces in Jaeger, 10^6 rows, losses of 1500 requests, 500 a second
	OTEL_TTS_TRIALS=300 $(BIN)/pytest -q -rP tests/unit/causes/test_named_causes.py
	OTEL_TTS_EVERY_SERVER=1 $(BIN)/python tests/environments/run.py web
	OTEL_TTS_FIND_BYTES=1e9 $(BIN)/pytest -q -rP tests/integration/test_find_speed.py
	OTEL_TTS_KILL_EVERY=1 $(BIN)/pytest -q -rP tests/unit/archiving/test_archive_killed.py
	OTEL_TTS_FIND_TRACES=100000 $(BIN)/pytest -q -rP tests/stack/test_find_on_stack.py
	OTEL_TTS_REPORT_ROWS=1e6 $(BIN)/pytest -q -rP tests/unit/reporting/test_many_rows.py
	OTEL_TTS_LOSSES=1500 $(BIN)/pytest -q -rP tests/stack/test_losses.py
	OTEL_TTS_RATE=500 OTEL_TTS_RATE_SECONDS=60 $(BIN)/pytest -q -rP tests/stack/test_rate.py

matrix: $(DEV) ## each Python that is here, and the tables against the newest published versions of the engines
	$(BIN)/pytest -q tests/integration/test_pythons.py
	$(BIN)/python tests/wheels/matrix.py

lint: $(DEV) ## ruff, pyright, layers between the modules, generated documents
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check
	@if $(BIN)/python -c 'import grafana_foundation_sdk' 2>/dev/null; then $(BIN)/python -m dashboards.build --check; \
	else echo "make lint: no grafana-foundation-sdk for this Python (it needs 3.11), the dashboards are not compared"; fi

bench: $(DEV) ## measure what a request costs (AGAINST=WHEEL compares with an earlier commit's wheel)
	$(BIN)/python -m tests.bench $(if $(AGAINST),--against '$(AGAINST)')

bench-peers: $(DEV) ## what the bench compares with, in environments of its own (500 MB, once)
	$(BIN)/python -m tests.bench.peers

docs: $(DEMO) ## write the pages of docs/ that are made from the tables in otel_tts
	$(BIN)/python docs/generate.py

dashboards: $(DEV) ## write boards, rules and their pages from the descriptions in dashboards
	$(BIN)/python -m dashboards.build

lock: $(DEV) ## renew all locks from pyproject.toml and tests/environments (UPGRADE=--upgrade takes newer versions)
	$(COMPILE) --extra demo --extra config --group dev pyproject.toml -o dev.lock
	$(COMPILE) --extra demo --extra otlp --constraint dev.lock pyproject.toml -o demo.lock
	for needs in $(filter-out $(PEERS),$(wildcard tests/environments/*.in)); do \
	extras=$$(grep -q '^# otel-tts alone' $$needs || echo --extra config); \
	$(COMPILE) $$extras pyproject.toml $$needs -o $${needs%.in}.lock || exit 1; done
	for needs in $(PEERS); do $(COMPILE) --no-config $$needs -o $${needs%.in}.lock || exit 1; done
	$(BIN)/python tests/wheels/wheel_cache.py $(UPGRADE)

stack-build: $(DEMO) ## build Collector, Jaeger, VictoriaLogs, Prometheus and Alertmanager with Go, once
	$(BIN)/otel-tts stack build

stack-up: $(DEMO) ## start the servers on this machine
	$(BIN)/otel-tts stack up

stack-status: $(DEMO) ## say which servers run and where
	$(BIN)/otel-tts stack status

stack-down: $(DEMO) ## stop the servers
	$(BIN)/otel-tts stack down

clean: ## remove build output and caches (.venv and built servers stay)
	rm -rf build dist out demo .pytest_cache .ruff_cache .import_linter_cache
	find otel_tts tests docs dashboards -name __pycache__ -type d -prune -exec rm -rf {} +

# What .venv was made with: its Python may be gone, or another than the PYTHON that is asked for now.
RENEW := To make it anew: rm -rf .venv, then this again.
python: ## say whether .venv fits the PYTHON that is asked for
	@[ -e $(BIN)/python ] || [ ! -L $(BIN)/python ] || { echo "The Python of .venv is gone. $(RENEW)" >&2; exit 2; }
ifneq ($(origin PYTHON), file)
	@[ ! -e $(BIN)/python ] || { \
	tell() { "$$1" -c 'import os, sys; print(sys.version.split()[0], "in", os.path.realpath(sys.base_prefix))'; }; \
	asked=$$(tell $(PYTHON)) && made=$$(tell $(BIN)/python) || exit 2; [ "$$asked" = "$$made" ] || { \
	echo "PYTHON=$(PYTHON) is $$asked; .venv was made with $$made." >&2; \
	echo "$(RENEW) To use it as it is: make without PYTHON." >&2; exit 2; }; }
endif

$(BIN)/pip: | python
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	{ echo "otel-tts needs Python 3.10 to 3.13; $(PYTHON) is none of them. Name one: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv .venv

$(DEMO): demo.lock pyproject.toml | python $(BIN)/pip
	@echo "installing what otel-tts runs with into .venv, about a minute …"
	$(BIN)/pip install --quiet --disable-pip-version-check -r demo.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEV): dev.lock $(DEMO)
	@echo "installing tests and tools into .venv, about two minutes …"
	$(BIN)/pip install --quiet --disable-pip-version-check -r dev.lock
	@touch $@
