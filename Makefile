# Everything here works from a fresh clone with only python3 (3.11 to 3.13), make and a package index.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO ?= demo

.PHONY: help setup demo test check bench clean

help:
	@echo "make setup   .venv with everything installed (quick when nothing changed)"
	@echo "make demo    draw bicycles, train on them for six minutes, show where to look"
	@echo "make test    all tests"
	@echo "make check   ruff, pyright, import-linter"
	@echo "make bench   measure what the recipes give in ten minutes (long)"

setup: $(STAMP)

# Only what decides the installed packages makes it stale: editing code does not (it is editable).
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"morelike needs Python 3.11 to 3.13; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 setup")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@# pyright fetches its program on its first run; a clone without a network needs it there.
	@$(BIN)/pyright --version >/dev/null 2>&1 || echo "pyright could not fetch its program; make check will try again"
	@touch $(STAMP)

demo: setup
	@$(BIN)/python benchmarks/demo.py $(DEMO)

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/ten_minutes.py

clean:
	rm -rf .venv demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis
