# `make demo` and `make test` are the two commands; the rest is for people who work on the node.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
TRAIN := $(BIN)/python -m train
DATA ?=
ROUNDS ?=

.PHONY: demo test check bench interop judges crash fuzz soak train clean

demo: $(VENV)/.demo
	$(BIN)/dicom-node demo --out demo

test: check
	$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check dicom_node models train tests
	$(BIN)/ruff format --check dicom_node models train tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m bench --write docs/BENCHMARKS.md

# Real PACS, viewers and validators against the node; they are installed first, which root must do (Debian).
# STRICT=1: a program that could not be installed is a failure. ROUNDS='3d --pictures docs/viewers': docs/VIEWERS.md.
interop judges: $(VENV)/.demo
	PYTHONPATH=.:tests $(BIN)/python -m interop $(ROUNDS)

# Each of the node's processes is killed at each of its seams; what was lost, and what came twice. KILLS=20 for fewer.
crash: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m crash --kills $(or $(KILLS),200)

# Ten minutes for each thing that strangers' bytes reach first; SECONDS=60 for a minute.
fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	for target in header film wire; do \
		PYTHONPATH=.:tests $(BIN)/python -m fuzz $$target --seconds $(or $(SECONDS),600) || exit 1; done

# An hour of mixed load with faults, its figures and picture in runs/soak; MINUTES=10 for less.
soak: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m soak --minutes $(or $(MINUTES),60)

# DATA=/path/to/data make train: all three stages one after the other, then weights, cards and numbers.
# Each stage goes on where an interrupted one stopped.
train: $(VENV)/.dev
	@test -n "$(DATA)" || { echo "say where the films are: DATA=/path/to/data make train"; exit 2; }
	$(TRAIN) all --data $(DATA) --out runs

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo build dist *.egg-info
