# Chorus: the repository's verbs. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run console test test-slow test-system check fix bench docs lock sbom starter clean setup setup-dev setup-bench

help:  ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup  ## start everything on this machine and open the console
	@$(BIN)/chorus up

console: setup  ## one more console for what runs here
	@$(BIN)/chorus console

test: setup-dev  ## all tests that need neither root nor many minutes
	@$(BIN)/python -m pytest -m "not slow and not system" --numprocesses 2 --dist loadscope $(ARGS)

test-slow: setup-dev  ## the tests that take minutes
	@$(BIN)/python -m pytest -m slow --timeout 1800 $(ARGS)

# Without such a test there is nothing to run.
test-system: setup-dev  ## the tests that need Debian packages
	@! grep -rlq "mark.system" tests || $(BIN)/python -m pytest -m system $(ARGS)

check: setup-dev  ## style, types, walls between packages, advisories against what is locked
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports
	@$(BIN)/python -m scripts.audit

fix: setup-dev  ## mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup-bench  ## all benchmarks, or one: make bench NAME=startup
	@$(BIN)/python -m tests.benchmarks $(NAME)

docs: setup-dev  ## write what is generated: tables in docs, deploy/{nats,s3}, Grafana's dashboards, Kubernetes' rules
	@$(BIN)/python scripts/make_docs.py
	@$(BIN)/python -m scripts.env_example
	@$(BIN)/python scripts/make_dashboards.py
	@$(BIN)/python scripts/make_rules.py

lock: setup-dev  ## write requirements/*.lock anew
	@$(BIN)/python -m scripts.lock

sbom: setup-dev  ## write sbom/: all that runs, with hashes and licences, one file a machine or image
	@$(BIN)/python -m scripts.sbom sbom

starter: setup-dev  ## train the starter model anew
	@$(BIN)/python scripts/build_starter.py

clean:  ## delete the environment, caches and this machine's data
	rm -rf .venv .chorus .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

setup:
	@$(PYTHON) scripts/setup.py </dev/null

setup-dev:
	@$(PYTHON) scripts/setup.py --dev </dev/null

setup-bench:
	@$(PYTHON) scripts/setup.py --bench </dev/null
