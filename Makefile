# Needs Python 3.11 or newer, make and git; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test bench format conformance clean

help:
	@echo "make demo    deploy the example project jobs/ to an emulator, as a tour"
	@echo "make test    everything that guards the project"
	@echo "make bench   how long each verb takes with 2,000 jobs"
	@echo "make format  format the code, and regenerate the schemas"
	@echo "make conformance  install the vendor's SDKs, so that make test tries them against the emulator"
	@echo "make docs    regenerate the reference pages and the output in README.md and docs/"
	@echo "make site    build the pages as a web site, in build/site"
	@echo "make clean   remove .venv and everything that was built"

demo: .venv/run.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh .ci/demo

test: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/deployer schema check
	$(BIN)/pytest -n auto --cov --cov-fail-under=95

bench: .venv/run.stamp
	@$(BIN)/python tests/bench.py

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/deployer schema generate

# What the vendor's SDKs say of the emulator; without it these tests are skipped.
conformance: .venv/conformance.stamp

clean:
	rm -rf .venv build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "deployer needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python's venv is incomplete here; install the package python3-venv (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python pyproject.toml
	@echo "Installing deployer into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml
	@echo "Installing deployer and its development tools into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/run.stamp

.venv/conformance.stamp: .venv/dev.stamp
	@echo "Installing the vendor's SDKs into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,conformance]'
	@touch $@

.PHONY: docs site
docs: .venv/dev.stamp ; $(BIN)/python docs/generate.py

site: .venv/docs.stamp docs ; NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.venv/docs.stamp: .venv/dev.stamp
	@echo "Installing MkDocs into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	@touch $@
