# Two commands: `make demo` and `make test`. Each builds its environment from nothing.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help

# Tests start Python hundreds of times; without compiled modules each start takes longer.
unexport PYTHONDONTWRITEBYTECODE

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

$(VENV)/installed: pyproject.toml constraints.txt
	@echo 'Building the environment in $(VENV): a minute or a few, once.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt
	@echo 'Building the environment in $(VENV): a minute or a few, once.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed ## sandbox and Dagster with a demo agency; no TikTok account needed
	@exec $(BIN)/tiktok-assets demo $(DEMO)

test: lint ## lint, types and the whole suite
	@$(MAKE) --no-print-directory --jobs 2 types suite

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

suite: $(VENV)/installed-dev
	$(BIN)/pytest -q --numprocesses auto --dist worksteal

fix: $(VENV)/installed-dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(VENV)/installed-dev ## two thousand random steps against one store; SOAK_STEPS and SOAK_SEED change it
	SOAK_STEPS=$${SOAK_STEPS:-2000} $(BIN)/pytest -q tiktok_assets_tests/end_to_end/test_soak.py

spoil: $(VENV)/installed-dev ## twenty thousand answers with one place spoiled; SPOILED_ANSWERS changes it
	SPOILED_ANSWERS=$${SPOILED_ANSWERS:-20000} $(BIN)/pytest -q -s --timeout=0 tiktok_assets_tests/ingest/test_corrupted_responses.py

browser: $(VENV)/installed-dev ## the pages looked at in Chromium, which must be installed (Debian: apt-get install chromium)
	$(PIP) install --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/pytest -q tiktok_assets_tests/browser/check_overview.py tiktok_assets_tests/browser/check_dagster.py tiktok_assets_tests/browser/check_scenario.py

witness: $(VENV)/installed-dev ## another project's connector reads the sandbox; downloads it
	$(BIN)/python -m tiktok_assets_tests.witnesses.tap_tiktok_ads

mutations: $(VENV)/installed-dev ## put twenty fixed bugs back, one at a time, and print which the tests catch
	$(BIN)/python -m tiktok_assets_tests.mutations

benchmark: $(VENV)/installed-dev ## all speeds and sizes, written to docs/benchmarks.md; half an hour, or a part with ONLY=startup
	$(BIN)/python -m tiktok_assets_tests.benchmarks --page $(ONLY)

constraints: $(VENV)/installed-dev ## write the installed versions to constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev,browser,redis,s3,postgres]'
	$(BIN)/pip freeze --exclude-editable > constraints.txt

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help demo test lint types suite fix browser soak spoil witness mutations benchmark constraints clean
