# make movie: environment, install, and movie.mp4 from stories/the_fox.txt. make test: the same, then every test.
# PIP_CONSTRAINT is honoured, e.g. to pin a CPU build of torch. WORKERS: processes that test, one thread each.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STORY ?= stories/the_fox.txt
OUT ?= movie.mp4
WORKERS ?= 2

.PHONY: movie test test-slow lint host-test clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/dev: requirements-dev.txt requirements-oracles.txt $(VENV)/installed
	$(BIN)/pip install --quiet -r requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps -r requirements-oracles.txt
	touch $@

movie: $(VENV)/installed
	$(BIN)/diffilm movie $(STORY) -o $(OUT)

test: $(VENV)/dev lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/mypy

# Needs a ComfyUI: make host-test COMFYUI_PATH=/path/to/ComfyUI
host-test: $(VENV)/dev
	$(BIN)/python -m pytest tests/host -m "slow or not slow"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
