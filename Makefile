# `make study` and `make test` set up everything they need: Python 3.11 or later, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PEERS := $(VENV)/peers

.PHONY: study test test-all docs check bench bench-cost bench-compare bench-evaluation bench-scale \
	bench-statistics bench-train

study: $(READY)
	$(BIN)/segrisk study run studies/quick.yaml --out results/quick

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses auto --dist worksteal

test-all: $(READY)
	$(BIN)/python -m pytest

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(PEERS)
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/losses.py --device $(or $(DEVICE),cpu)

bench-cost: $(PEERS)
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/cost.py --device $(or $(DEVICE),cpu)

bench-compare: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/compare.py $(ARGS)

bench-evaluation: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/evaluation.py $(ARGS)

bench-scale: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scale.py $(ARGS)

bench-statistics: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/resampling.py

bench-train: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/train.py --device $(or $(DEVICE),cpu)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(PEERS): $(READY) benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $@ --requirement benchmarks/requirements.txt
	touch $@
