# What a person types in this project. `make help` lists the targets.
#
# The virtual environment is made on first use and brought up to date whenever pyproject.toml changes.
#   VENV=DIR      another environment         (make test VENV=.venv-newest)
#   PYTHON=EXE    another interpreter for it  (make test VENV=.venv-newest PYTHON=python3.13)
#   ARGS=...      passed on                   (make run ARGS='--port 1884', make test ARGS='-k retained')
#   JOBS=N        tests at the same time      (make test JOBS=8); some of them wait, so 3 suit two processors
#   COVERAGE=1    tell what lines are reached (make test COVERAGE=1), in twice the time

VENV ?= .venv
BIN := $(VENV)/bin
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
UV := $(shell command -v uv 2>/dev/null)
JOBS ?= 3
COVERAGE ?= 0
ROUNDS ?= 50
ARGS ?=

INSTALL := $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

ifeq ($(REQUIRE_TOOLS),1)
export MQTTBROKER_REQUIRE_TOOLS := 1
endif

.DEFAULT_GOAL := help
.PHONY: help run test compiled lint types layers check conformance bench bench-check crash browser-example console console-types console-pictures clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 17

run: $(VENV)/.installed ## Start a broker on TCP 1883 and WebSocket 8083, console on 8080, files in data/ (ARGS='--port 1884' ...)
	@$(BIN)/python build_console.py --optional
	@exec $(BIN)/mqttbroker serve --websocket-port 8083 --admin-port 8080 --data-dir data $(ARGS)

test: $(VENV)/.installed-dev ## Run the tests (REQUIRE_TOOLS=1: a missing tool is a failure)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(if $(filter 1,$(COVERAGE)),--cov --cov-report=term) $(ARGS)

compiled: ## Compile a copy of the tree, in build/compiled, and run the tests there
	@rm -rf build/compiled/mqttbroker build/compiled/tests && mkdir -p build/compiled
	@git ls-files -z --cached --others --exclude-standard --deduplicate | \
		tar --create --null --files-from=- --ignore-failed-read 2>/dev/null | tar --extract --directory=build/compiled
	@rm -f build/compiled/.venv/.installed-dev
	@MQTTBROKER_COMPILE=1 $(MAKE) --no-print-directory -C build/compiled .venv/.installed-dev PYTHON="$(PYTHON)"
	@cd build/compiled && .venv/bin/mqttbroker --version | grep compiled
	@$(MAKE) --no-print-directory -C build/compiled test PYTHON="$(PYTHON)" ARGS="$(ARGS)"

lint: $(VENV)/.installed-dev ## Check style, common mistakes and formatting with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "ruff format . puts these files in order:"; $(BIN)/ruff format --check . ; }

types: $(VENV)/.installed-dev ## Check types with mypy, strictly
	@$(BIN)/mypy

layers: $(VENV)/.installed-dev ## Check that imports go down the layers only
	@$(BIN)/lint-imports

check: lint types layers test ## All of the four above

conformance: $(VENV)/.installed-dev ## Test the numbered statements, write docs/conformance.md (ARGS=--check: only compare)
	@$(BIN)/python -m tests.conformance.report -n $(JOBS) $(ARGS)

mutation: $(VENV)/.installed-dev ## Change the code at random and see whether the tests notice (ARGS='--size 400 --seed 1')
	@$(BIN)/python -m tests.mutation --jobs $(JOBS) $(ARGS)

bench: $(VENV)/.installed-dev ## Measure beside other brokers, write docs/benchmarks.md (ARGS='--quick --only 1,2')
	@$(BIN)/python -m benchmarks $(ARGS)

bench-check: $(VENV)/.installed-dev ## Compare CPU per message with the release before (ARGS=--update: keep the figures)
	@$(BIN)/python -m benchmarks.check $(ARGS)

crash: $(VENV)/.installed-dev ## Kill a broker under load ROUNDS times and look what it lost (ARGS='--seed 1 --power-loss')
	@$(BIN)/python -m tests.durability.crash --rounds $(ROUNDS) $(ARGS)

browser-example: examples/browser/node_modules/.package-lock.json ## Build examples/browser into examples/browser/dist (needs Node)
	@cd examples/browser && rm -rf dist && npm run --silent build
	@echo "Built examples/browser/dist; examples/browser/README.md says how to see it."

examples/browser/node_modules/.package-lock.json: examples/browser/package.json examples/browser/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed (Debian: nodejs and npm)" >&2; exit 1; }
	@cd examples/browser && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

console: $(BIN)/python ## Build the web console into mqttbroker/admin/console, check its types and its size
	@$(BIN)/python build_console.py
	@$(BIN)/python build_console.py --run check

console-types: $(VENV)/.installed ## Write the console's types of the API anew, after a change of it
	@mkdir -p build
	@$(BIN)/python -c 'import json; from mqttbroker.admin.openapi import describe; from mqttbroker.admin.server import \
		endpoints; print(json.dumps(describe(endpoints())))' >build/openapi.json
	@$(BIN)/python build_console.py --run api

console-pictures: $(VENV)/.installed-dev console ## Make the pictures of docs/console.md anew, which takes some minutes
	@$(BIN)/python -m tests.console.pictures $(ARGS)

clean: ## Remove what tools have left; the environments stay
	rm -rf build dist examples/browser/dist mqttbroker/admin/console *.egg-info htmlcov .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name .venv\* -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with PYTHON=..." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(if $(UV),$(UV) venv --quiet --python "$(PYTHON)" $(VENV),"$(PYTHON)" -m venv $(VENV))

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing mqttbroker into $(VENV) ..."
	@$(INSTALL) --editable '.[examples]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing mqttbroker and its development tools into $(VENV) ..."
	@$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed
