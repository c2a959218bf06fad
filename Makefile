# Needs Python 3.11 or newer with pip, and make. Everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(wildcard plugins/*/pyproject.toml))
# Editable, so that what is run is what stands in this folder.
SOURCES := -e . $(patsubst %/pyproject.toml,-e ./%,$(PLUGINS))
WORKERS ?= 4
# Where distributions are built; WHEEL_FLAGS=--no-build-isolation builds them offline, with the hatchling of VENV.
DIST ?= dist
WHEEL_FLAGS ?=

export DS_BUILD_OPS := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo test check wheels clean results-unicl results-tcl results-align

help:
	@echo "make demo    train on real images, then measure the model on images it has not seen"
	@echo "make test    run all tests"
	@echo "make check   lint, format and type checks"
	@echo "make wheels  build every distribution into dist/"
	@echo "make results-unicl  UniCL's comparisons in small, into docs/results.md: less than two hours of two cores, resumed where stopped"
	@echo "make results-tcl    the same for TCL"
	@echo "make results-align  the same for ALIGN"
	@echo "make clean   remove what these commands have made"

install: $(VENV)/installed

# A folder of its own, made anew each time: a longer run in runs/quickstart is left alone.
demo: $(VENV)/installed
	@rm -rf runs/demo
	$(BIN)/vlc train recipes/quickstart.yaml --set output=runs/demo
	$(BIN)/vlc eval runs/demo

# A worker takes whole files: tests that look at the same trained run share it.
test: $(VENV)/installed-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses $(WORKERS) --dist loadfile

check: $(VENV)/installed-check
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

wheels: $(BIN)/python
	rm -rf $(DIST)
	for source in . $(patsubst %/pyproject.toml,./%,$(PLUGINS)); do \
		$(BIN)/python -m pip wheel --quiet --no-deps $(WHEEL_FLAGS) --wheel-dir $(DIST) $$source || exit 1; \
	done
	@ls $(DIST)

results-unicl results-tcl results-align: results-%: $(VENV)/installed-results
	$(BIN)/python -m benchmarks.results $*

clean:
	rm -rf $(VENV) dist build runs/demo .pytest_cache .mypy_cache .ruff_cache
	find core cli plugins tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vlc needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Made again only when a distribution changes what it depends on or offers.
$(VENV)/installed: pyproject.toml $(PLUGINS) | $(BIN)/python
	$(BIN)/python -m pip install $(SOURCES)
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@

$(VENV)/installed-results: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[results]'
	@touch $@

$(VENV)/installed-check: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[test,check]'
	@touch $@
