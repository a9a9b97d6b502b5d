# Needs Python 3.11 or newer, pip and make. `make setup PYTHON=python3.12` chooses another interpreter;
# `make setup PIP_ARGS="--index-url URL"` hands arguments to pip; `make bench ARGS="--limit 5"` to draftwise.
PYTHON ?= python3
PIP_ARGS ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup bench test lint speed speed-baseline exactness clean

help:
	@echo "make setup   create $(VENV) and install draftwise with pinned versions (a second call reuses it)"
	@echo "make bench   setup, then draftwise bench \$$(ARGS)"
	@echo "make test    setup, then the tests: pytest \$$(ARGS)"
	@echo "make lint    setup, then ruff and mypy --strict"
	@echo "make speed   setup, then the speed benchmarks against the committed baseline: a ratio worse by over 10 % fails"
	@echo "make speed-baseline  setup, then write this machine's baseline"
	@echo "make exactness       setup, then: speculative sampling writes plain decoding's ids (\$$(ARGS): --dtype, --backend …)"
	@echo "make clean   remove $(VENV) and the caches"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	v >= (3, 11) or sys.exit("draftwise needs Python 3.11 or newer, not %d.%d; run: make setup PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e ".[dev]"
	@touch $@

bench: setup
	@$(BIN)/draftwise bench $(ARGS)

test: setup
	$(BIN)/python -m pytest $(ARGS)

lint: setup
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy --strict src

speed: setup
	$(BIN)/python -m benchmarks.speed compare $(ARGS)

speed-baseline: setup
	$(BIN)/python -m benchmarks.speed renew $(ARGS)

exactness: setup
	$(BIN)/python -m benchmarks.exactness $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
