# make hello       a first run, from nothing: installs, starts the platform on this machine, shows the run's log
# make check       what must pass before a change is proposed: lint + test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

export PATH := $(CURDIR)/$(BIN):$(PATH)

.DELETE_ON_ERROR:
.PHONY: hello install develop test lint check bench clean

hello: install
	@mcli run -f examples/hello_world.yaml --follow

check: lint test

test: develop
	pytest

lint: develop
	ruff check .
	ruff format --check .
	mypy
	lint-imports

bench: develop
	python -m benchmarks

# What the other targets made here. The platform's own state (~/.mosaic) is not touched.
clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

install: $(VENV)/.installed
develop: $(VENV)/.developed

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (only when pyproject.toml or constraints.txt has changed)"
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.developed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), with what tests and checks need"
	@$(PIP_INSTALL) --editable '.[test,postgres,kubernetes,lint]'
	@touch $@ $(VENV)/.installed

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); 3.11 or newer is needed. Name one: make PYTHON=python3.11 ..." >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
