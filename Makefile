# Needs Python 3.11 or newer and make; everything else is installed into .venv, exactly as locked in requirements/.
# Another Python: make PYTHON=python3.13 test

PYTHON ?= python3
BIN := .venv/bin
LOCKS := pyproject.toml scripts/install.py requirements/uv.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench size torch docs lock clean distclean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.core ## Draw pictures, index and search them, write a page of results
	@$(BIN)/lookalike demo

test: check .venv/.torch ## Check the code and run all tests that can run here
	@$(BIN)/python -m pytest

check: .venv/.dev ## Check style, types and the layers of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: .venv/.dev ## Bring the code into shape
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

bench: .venv/.dev .venv/.torch .venv/.bench ## Measure speed and memory, print one table
	@$(BIN)/python benchmarks/run.py

size: .venv/.core ## Install the core alone into a temporary folder and print what each part weighs
	@$(BIN)/python scripts/size.py

torch: .venv/.dev ## Install torch for comparisons, only from a CPU wheel that pip finds without a registry
	@$(PYTHON) scripts/install.py torch
	@touch .venv/.torch

docs: .venv/.core ## Write the reference pages from the code
	@$(BIN)/python scripts/reference.py

lock: .venv/.core ## Write requirements/ anew from pyproject.toml (UPGRADE=1 takes the newest versions)
	@$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

clean: ## Remove what tools left behind
	rm -rf build dist lookalike-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove the environment as well
	rm -rf .venv

# The empty files in .venv say what has been installed since the lists last changed.
.venv/.core: $(LOCKS) requirements/core.txt requirements/build.txt
	@$(PYTHON) scripts/install.py core
	@touch $@

.venv/.dev: $(LOCKS) requirements/dev.txt
	@$(PYTHON) scripts/install.py dev
	@touch $@ .venv/.core

.venv/.torch: requirements/compare.txt scripts/install.py | .venv/.dev
	@$(PYTHON) scripts/install.py torch --try
	@touch $@

.venv/.bench: requirements/bench.txt requirements/bench-build.txt scripts/install.py | .venv/.dev
	@$(PYTHON) scripts/install.py bench --try
	@touch $@
