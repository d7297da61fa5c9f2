# `make demo` and `make test` are the two commands; the rest is for people who work on the node.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
TRAIN := $(BIN)/python -m train
DATA ?=

.PHONY: demo test check bench train clean

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

# DATA=/path/to/data make train: all three stages one after the other, then weights, cards and numbers.
# Each stage goes on where an interrupted one stopped.
train: $(VENV)/.dev
	@test -n "$(DATA)" || { echo "say where the films are: DATA=/path/to/data make train"; exit 2; }
	$(TRAIN) stage1 --config train/configs/stage1.yaml --data $(DATA) --out runs/stage1
	$(TRAIN) stage2 --config train/configs/stage2.yaml --data $(DATA) --out runs/stage2 \
		--lungs runs/stage1/best.pt
	$(TRAIN) stage3 --config train/configs/stage3.yaml --data $(DATA) --out runs/stage3 \
		--lungs runs/stage1/best.pt --pneumonia runs/stage2/best.pt
	mkdir -p runs/weights
	cp runs/stage1/best.pt runs/weights/lungs.pt
	cp runs/stage2/best.pt runs/weights/pneumonia.pt
	cp runs/stage3/best.pt runs/weights/covid19.pt
	$(TRAIN) export --config train/configs/export.yaml --data $(DATA) --out runs/export

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
