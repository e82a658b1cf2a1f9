# Everything here works from a fresh clone with only python3 (3.11 to 3.13), make and a package index.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO ?= demo
RECIPE ?=

.PHONY: help setup demo test check bench bench-check quality clean

help:
	@echo "make setup        .venv with everything installed (quick when nothing changed)"
	@echo "make demo         draw bicycles, train on them for six minutes, show where to look"
	@echo "make test         all tests"
	@echo "make check        ruff, pyright, import-linter"
	@echo "make bench        how fast training and sampling are beside plain PyTorch, on this machine"
	@echo "make bench-check  whether these ratios fell by more than 15 % against the stored ones"
	@echo "make quality      what a recipe gives in ten minutes: DATA=folder WEIGHTS=file [RECIPE=name]"

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
	@run=$$($(BIN)/morelike train toy:bicycles --recipe bicycles --minutes 6 --out $(DEMO)) || exit $$?; \
	$(BIN)/morelike sample "$$run" --seeds 0-63 --grid $(DEMO)/bicycles.png || exit $$?; \
	echo; \
	echo "1. Look at $(DEMO)/bicycles.png, $$run/samples/timelapse.gif and $$run/losses.png."; \
	echo "2. Go on with it:      $(BIN)/morelike train --resume $$run --minutes 20"; \
	echo "3. Your own pictures:  $(BIN)/morelike train YOUR_FOLDER --recipe roses-dcgan --minutes 10"

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/sampling_speed.py
	$(BIN)/python benchmarks/start_up.py

bench-check: setup
	$(BIN)/python benchmarks/training_speed.py --check
	$(BIN)/python benchmarks/sampling_speed.py --check

quality: setup
	$(BIN)/python benchmarks/ten_minutes.py "$(DATA)" $(if $(RECIPE),--recipe "$(RECIPE)") --weights "$(WEIGHTS)"

clean:
	rm -rf .venv demo .pytest_cache .ruff_cache .import_linter_cache .hypothesis
