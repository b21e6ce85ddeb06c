# Everything runs in .venv, installed from pyproject.toml at the exact versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: help demo test format check lint types contracts bench proof figures dashboards hashes clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' Makefile

demo: .venv/.run  ## a day of the nine-node laboratory, without and with coordination, with a report
	@echo "gridlab: one day in closed loop over real sockets of this machine, about a minute"
	$(BIN)/gridlab simulate configs/gridlab9.yaml

test: .venv/.dev  ## all tests, each within 300 s; ORDER=--random-order shuffles files, and tests within a file
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --timeout 300 $(ORDER)

format: .venv/.dev  ## rewrites the code as the linter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint types contracts  ## lint, types and contracts

lint: .venv/.dev  ## style and likely errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev  ## static types
	$(BIN)/mypy

contracts: .venv/.dev  ## who may import whom
	$(BIN)/lint-imports

bench: .venv/.dev  ## measured comparisons; rewrites docs/benchmarks.md
	$(BIN)/python -m benchmarks --write

proof: .venv/.dev  ## whole days in closed loop and a service in real time; rewrites docs/proof.md and docs/reliability.md
	$(BIN)/python -m benchmarks.proof
	$(BIN)/pytest tests/state_machine --hypothesis-profile=proof
	$(BIN)/python -m benchmarks.chaos_proof

figures: .venv/.dev  ## rewrites docs/figures
	$(BIN)/python -m benchmarks.figures

dashboards: .venv/.dev  ## rewrites configs/grafana
	$(BIN)/python -m controller.grafana

hashes: .venv/.dev  ## rewrites requirements-deploy.txt: what a deployment installs, with hashes
	$(BIN)/python -m tests.support.deployment_file

clean:  ## removes .venv
	rm -rf .venv

.venv/.run: pyproject.toml constraints.txt
	@echo "gridlab: installing into .venv, some minutes at first; later runs start at once"
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) .
	touch $@

.venv/.dev: .venv/.run
	@echo "gridlab: installing what tests and checks need"
	$(PIP_INSTALL) ".[dev]"
	touch $@
