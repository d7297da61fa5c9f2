# `make demo` and `make test` are the two main commands; the others are for developers.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
TRAIN := $(BIN)/python -m train
DATA ?=
ROUNDS ?=

.PHONY: demo test check bench interop judges attack hospital audit crash cluster fuzz field soak train lock dist clean

demo: $(VENV)/.demo
	$(BIN)/dicom-node demo --out demo

# Networks with one thread in each of three processes: with two each they take three times as long on two cores.
test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff check dicom_node models train tests
	$(BIN)/ruff format --check dicom_node models train tests
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m bench --write docs/BENCHMARKS.md

# The node against real PACS, viewers and validators, which are installed first; needs root (Debian).
# STRICT=1: a program that could not be installed is a failure. ROUNDS='3d --pictures docs/viewers': docs/VIEWERS.md.
interop judges: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m interop $(ROUNDS)

# Attack nodes of real processes, and print what held: needs 4 GB of memory. ATTACKS='storm words' for some.
attack: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -W ignore -m attacks $(ATTACKS)

# A hospital over half a year: DATA=/path/to/data; a node reads, learns, compares and promotes. FILMS=240 for fewer; OUT=DIR goes
# on where a run over DIR stopped; ADAPTED=DIR takes the candidate of an earlier run of as many films.
hospital: $(VENV)/.dev
	@test -n "$(DATA)" || { echo "DATA must name the folder of the films: make hospital DATA=/path/to/data"; exit 2; }
	PYTHONPATH=.:tests $(BIN)/python -W ignore -m hospital --data $(DATA) --films $(or $(FILMS),400) $(if $(OUT),--out $(OUT)) $(if $(ADAPTED),--adapted $(ADAPTED))

# Kill the node's processes at every fail point, and count what was lost or sent twice. KILLS=20 for fewer.
crash: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m crash --kills $(or $(KILLS),200)

# A cluster of real processes over a PostgreSQL of its own; counts what came back. KILL=1 kills a member and the database,
# MOUNTS=1 gives each member a mount of its own of the shared folder.
cluster: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m cluster --studies $(or $(STUDIES),20) $(if $(KILL),--kill) $(if $(MOUNTS),--mounts)

# Ten minutes of fuzzing for each parser of untrusted bytes; SECONDS=60 for a minute.
fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	for target in header film wire; do \
		PYTHONPATH=.:tests $(BIN)/python -m fuzz $$target --seconds $(or $(SECONDS),600) || exit 1; done

# Every DICOM file of the installed public collections, and of FOLDERS='...', through the pipeline.
field: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -W ignore -m field $(FOLDERS) --write docs/FIELD.md

# An hour of mixed load with faults; figures and a plot in runs/soak; MINUTES=10 for less.
soak: $(VENV)/.dev
	PYTHONPATH=.:tests $(BIN)/python -m soak --minutes $(or $(MINUTES),60)

# DATA=/path/to/data make train: all three stages one after the other, then weights, cards and numbers.
# An interrupted stage resumes.
train: $(VENV)/.dev
	@test -n "$(DATA)" || { echo "DATA must name the folder of the films: DATA=/path/to/data make train"; exit 2; }
	$(TRAIN) all --data $(DATA) --out runs

# Pin every package by version and hash. torch is pinned in requirements/torch.txt by hand.
UV = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --override requirements/torch.txt --no-emit-package torch --custom-compile-command "make lock"
TORCH ?= --torch-backend cpu

lock: $(VENV)/.release
	$(UV) $(TORCH) pyproject.toml -o requirements/node.txt
	$(UV) $(TORCH) --extra dev pyproject.toml -o requirements/dev.txt
	printf '%s\n' 'psycopg[binary]>=3.2,<4' 'obstore>=0.12,<0.13' | \
		$(UV) - -c requirements/node.txt -o requirements/cluster.txt

# Known vulnerabilities of the locked packages; without a network it says that they were not looked up.
audit: $(VENV)/.release
	@for file in node torch; do \
		if ! $(BIN)/python -c "import socket; socket.create_connection(('pypi.org', 443), 5)" 2> /dev/null; then \
			echo "skipped: pypi.org cannot be reached, $$file.txt was not looked up"; continue; fi; \
		$(BIN)/pip-audit --disable-pip --require-hashes -r requirements/$$file.txt || exit 1; done

# The wheel, and a CycloneDX bill of materials of what it is installed with.
dist: $(VENV)/.release
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist
	cat requirements/torch.txt requirements/node.txt > dist/locked.txt
	$(BIN)/cyclonedx-py requirements dist/locked.txt --pyproject pyproject.toml --of JSON --output-reproducible \
		-o dist/dicom-node.cdx.json
	$(BIN)/python -c "import json, dicom_node; p = 'dist/dicom-node.cdx.json'; d = json.load(open(p)); \
		d['metadata']['component']['version'] = dicom_node.__version__; json.dump(d, open(p, 'w'), indent=2)"
	rm dist/locked.txt

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.release: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[release]'
	@touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info
