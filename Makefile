# walletrace: `make report` shows which lock strategies lose money, `make test` runs the suite.
# Everything lives in .venv; delete it with `make clean` and nothing of it is left on the machine.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Another Python for a new .venv: `make install PYTHON=python3.12`.
PYTHON ?= python3
UPGRADE ?=
BIN := .venv/bin
STAMP := .venv/.installed
PEERS := .venv/peers
# Twice quiet: errors only, no warnings about the mirrors that a machine may have configured.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: install
install: $(STAMP) ## make .venv with the locked, hashed dependencies and walletrace itself

# The stamp is newer than both files while nothing has changed, so installing again is free.
$(STAMP): pyproject.toml requirements.lock | $(BIN)/python
	@echo "walletrace: installing the locked dependencies into .venv (about a minute)"
	@# Compiling all modules up front takes longer than unpacking them; the used ones compile when used.
	@$(PIP) install --no-compile --require-hashes --requirement requirements.lock
	@echo "walletrace: installing walletrace itself"
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "walletrace: installed, $$($(BIN)/python --version) in .venv"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "walletrace needs Python 3.11 or newer; '$(PYTHON)' is" \
	    "$$($(PYTHON) -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo missing)." \
	    "Name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "walletrace needs the venv module, and '$(PYTHON)' has none." \
	    "Install it (on Debian and Ubuntu the package python3-venv), then try again." >&2; exit 1; }
	@echo "walletrace: making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

.PHONY: report
report: $(STAMP) ## explore, load, judge: one report in reports/out/index.html
	@$(BIN)/walletrace report

.PHONY: test
test: $(STAMP) ## run the whole test suite, doctests included
	@$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

.PHONY: check
check: $(STAMP) ## format, lint, types, floors of imports, doctests: exactly what CI runs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest engine scenarios reports
	@# A process of its own: importing locust swaps sockets and threads for gevent's.
	@$(BIN)/pytest -p no:anyio locustfiles

.PHONY: bench
bench: $(STAMP) ## measure the claims: memory of idle locks, batches, cache, lock wait
	@$(BIN)/python -m engine.load.benchmarks

# More for the program behind it: `make bench-explore ARGS="--case race --json race.json"`.
.PHONY: bench-explore
bench-explore: $(STAMP) $(PEERS)/.installed ## explore beside frontrun and detangle (about 4 minutes)
	@PYTHONPATH=$(PEERS) $(BIN)/python -m scenarios.explore_bench $(ARGS)

# More for the program behind it: `make bench-stores ARGS="--case 'sqlite/*/hot/*'"`.
.PHONY: bench-stores
bench-stores: $(STAMP) ## lock strategies on their stores beside pgbench and bare sqlite3 (about 5 minutes)
	@$(BIN)/python -m scenarios.store_bench $(ARGS)

.PHONY: bench-live
bench-live: $(STAMP) ## interleavings a second on live databases, step by step (about 15 seconds)
	@$(BIN)/python -m scenarios.store_bench.live $(ARGS)

# More for the program behind it: `make bench-checks ARGS="--case versions --json checks.json"`.
.PHONY: bench-checks
bench-checks: $(STAMP) ## judges of histories: time, memory and growth beside our targets (about 2 minutes)
	@$(BIN)/python -m scenarios.check_bench $(ARGS)

# In a folder of their own, which this target alone looks into: both bring pytest plugins that would
# load themselves into every run of our tests. Without them the bench runs and says so.
$(PEERS)/.installed: requirements-bench.lock | $(STAMP)
	@echo "walletrace: installing frontrun and detangle into $(PEERS)"
	@rm -rf $(PEERS) && mkdir -p $(PEERS)
	@if $(PIP) install --no-deps --require-hashes --target $(PEERS) --requirement $<; then \
	  touch $@; else echo "walletrace: they could not be installed; going on without them" >&2; fi

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
  --no-emit-index-url --custom-compile-command "make lock"

# Versions in the locks stay as they are unless pyproject.toml asks for others;
# `make lock UPGRADE=--upgrade` takes the newest of everything.
.PHONY: lock
lock: $(STAMP) ## write both locks anew after pyproject.toml has changed
	@$(LOCK) --extra dev --extra postgres pyproject.toml --output-file requirements.lock $(UPGRADE)
	@$(BIN)/python -c 'import tomllib; \
	  extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["bench"], sep="\n")' \
	  | $(LOCK) --no-annotate - --output-file requirements-bench.lock $(UPGRADE)

.PHONY: clean
clean: ## delete .venv, caches and reports
	@rm -rf .venv .nox .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis reports/out
