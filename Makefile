# `make run` and `make test` set everything up in .venv and need nothing but python3 (3.11 or later) and make.

SCENARIO ?= scenarios/rural_clinic.yaml
ARGS ?=
PYTHON ?= python3
PYTEST_ARGS ?= -n auto

# A data folder beside the checkout is used where there is one; otherwise the app looks in the user's cache.
export FEDGEN_DATA ?= $(abspath $(wildcard ../shared/data))
export FLWR_TELEMETRY_ENABLED = 0

.PHONY: run test lint docs clean
.DEFAULT_GOAL := run

run: .venv/.ready
	.venv/bin/emulate $(SCENARIO) $(ARGS)

test: .venv/.ready-dev
	.venv/bin/python -m pytest $(PYTEST_ARGS)

lint: .venv/.ready-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

docs: .venv/.ready-dev
	.venv/bin/python -m docs.generate

.venv/.ready: pyproject.toml constraints.txt setup.sh
	PYTHON=$(PYTHON) sh setup.sh .
	touch $@

.venv/.ready-dev: pyproject.toml constraints.txt setup.sh
	PYTHON=$(PYTHON) sh setup.sh ".[dev]"
	touch .venv/.ready $@

clean:
	rm -rf .venv build dist *.egg-info
