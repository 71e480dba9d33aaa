# `make demo` and `make test` create the environment first if needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help

# Tests start Python hundreds of times; without compiled modules each start takes longer.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

$(VENV)/installed: pyproject.toml constraints.txt
	@echo 'Building the environment in $(VENV); this takes a few minutes, once.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt
	@echo 'Building the environment in $(VENV); this takes a few minutes, once.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/installed

demo: $(VENV)/installed ## start sandbox and Dagster with a demo agency; needs no TikTok account
	@exec $(BIN)/tiktok-assets demo $(DEMO)

test: lint ## run linter, type checker and the quick tests
	@$(MAKE) --no-print-directory --jobs 2 types suite

test-slow: $(VENV)/installed-dev ## run the slow tests; CI runs both
	$(BIN)/pytest -q --numprocesses auto --dist worksteal -m slow

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

suite: $(VENV)/installed-dev
	$(BIN)/pytest -q --numprocesses auto --dist worksteal -m "not slow"

fix: $(VENV)/installed-dev ## format, and fix what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: $(VENV)/installed-dev ## run two thousand random steps on one store; SOAK_STEPS and SOAK_SEED change this
	SOAK_STEPS=$${SOAK_STEPS:-2000} $(BIN)/pytest -q tiktok_assets_tests/end_to_end/test_soak.py

spoil: $(VENV)/installed-dev ## read twenty thousand responses with one malformed value; SPOILED_ANSWERS changes this
	SPOILED_ANSWERS=$${SPOILED_ANSWERS:-20000} $(BIN)/pytest -q -s --timeout=0 tiktok_assets_tests/ingest/test_corrupted_responses.py

browser: $(VENV)/installed-dev ## test the pages in Chromium, which must be installed (Debian: apt-get install chromium)
	$(PIP) install --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/pytest -q tiktok_assets_tests/browser/check_overview.py tiktok_assets_tests/browser/check_dagster.py tiktok_assets_tests/browser/check_scenario.py

witness: $(VENV)/installed-dev ## read the sandbox with another project's connector; downloads it
	$(BIN)/python -m tiktok_assets_tests.witnesses.tap_tiktok_ads

newest: $(VENV)/installed-dev ## run a short suite with the newest versions that pyproject.toml allows
	$(BIN)/python -m tiktok_assets_tests.versions newest

oldest: $(VENV)/installed-dev ## run a short suite with the oldest versions that pyproject.toml allows
	$(BIN)/python -m tiktok_assets_tests.versions oldest

pythons: $(VENV)/installed-dev ## run a short suite with each of Python 3.11, 3.12 and 3.13 that is on PATH or in pyenv
	$(BIN)/python -m tiktok_assets_tests.versions pythons

examples: $(VENV)/installed-dev ## install and run the projects of examples/ and a new one of create-dagster; takes minutes
	$(BIN)/pytest -q -s --timeout=1800 tiktok_assets_tests/examples/check_dbt_project.py tiktok_assets_tests/examples/check_plain_delta.py tiktok_assets_tests/examples/check_scaffold.py

destinations: $(VENV)/installed-dev ## check the destination Postgres on a server of its own, which must be installed (Debian: apt-get install postgresql)
	$(BIN)/pytest -q -s tiktok_assets_tests/publish/check_postgres.py

cluster: $(VENV)/installed-dev ## run on Postgres, Redis, S3 and Celery, and kill each; CLUSTER='--accounts 4 --days 10' is a small one
	$(PIP) install --constraint constraints.txt --editable '.[dev,celery,postgres,redis,s3,cluster]'
	$(BIN)/python -m tiktok_assets_tests.cluster $(CLUSTER)

cluster-check: $(VENV)/installed-dev ## the same as a test, with less
	$(PIP) install --constraint constraints.txt --editable '.[dev,celery,postgres,redis,s3,cluster]'
	$(BIN)/pytest -q -s --timeout=3600 tiktok_assets_tests/cluster/check_cluster.py

mutations: $(VENV)/installed-dev ## put twenty fixed bugs back, one at a time, and print which ones the tests catch
	$(BIN)/python -m tiktok_assets_tests.mutations

# How long CI simulates; new seeds are begun for so many seconds.
SIMULATION_SECONDS ?= 600

simulate: $(VENV)/installed-dev ## live account-years with every fault: SECONDS=600, or SEED=5 for one seed
	$(BIN)/python -m tiktok_assets_tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

simulate-today: $(VENV)/installed-dev ## the same with the seed of the day, for SIMULATION_SECONDS; part of CI
	$(BIN)/python -m tiktok_assets_tests.simulation --seconds $(SIMULATION_SECONDS)

simulate-mutations: $(VENV)/installed-dev ## plant faults, one in each copy, and print which ones the simulation finds
	$(BIN)/python -m tiktok_assets_tests.simulation.mutations

benchmark: $(VENV)/installed-dev ## run all benchmarks and write docs/benchmarks.md; takes half an hour; ONLY=startup runs one
	$(BIN)/python -m tiktok_assets_tests.benchmarks --page $(ONLY)

constraints: $(VENV)/installed-dev ## write the installed versions to constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev,browser,celery,redis,s3,postgres,delta,iceberg,cluster]'
	$(BIN)/pip freeze --exclude-editable > constraints.txt
	# dbt needs an older pathspec than mypy, so the examples have versions of their own.
	grep -v '^pathspec==' constraints.txt > $(VENV)/without_pathspec.txt
	echo 'tiktok-assets @ file://$(CURDIR)' | $(BIN)/uv pip compile --quiet --no-annotate --no-header --python-version 3.11 \
		--no-emit-package tiktok-assets --constraint $(VENV)/without_pathspec.txt --output-file examples/constraints.txt \
		- examples/dbt_project/pyproject.toml examples/plain_delta/pyproject.toml

clean: ## remove the environment and every cache
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help demo test test-slow lint types suite fix browser soak spoil witness newest oldest pythons examples destinations cluster cluster-check mutations simulate simulate-today simulate-mutations benchmark constraints clean
