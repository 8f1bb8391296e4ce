# Every target sets up what it needs. Only make and Python 3.11 or newer must be there.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORPUS := .venv-corpus
CORPUS_READY := $(CORPUS)/.ready
DEMO := .venv-demo
DEMO_READY := $(DEMO)/.ready
JOBS ?= 2
K ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint format corpus bench docs fuzz constraints clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' Makefile | expand -t 14

setup: $(READY)  ## the environment that everything else uses: .venv

define check_python
@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on PATH: install one, or give make PYTHON=/its/path"; exit 2; }
endef

$(READY): pyproject.toml constraints.txt
	$(check_python)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(CORPUS_READY): tests/corpus/requirements.txt constraints.txt pyproject.toml
	$(check_python)
	test -x $(CORPUS)/bin/python || $(PYTHON) -m venv $(CORPUS)
	$(CORPUS)/bin/python -m pip install --quiet --no-deps --requirement tests/corpus/requirements.txt
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(CORPUS)/bin/python -m pip install --quiet setuptools
	$(CORPUS)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEMO_READY): examples/demo/requirements.txt constraints.txt pyproject.toml
	$(check_python)
	test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(DEMO)/bin/python -m pip install --quiet --editable . \
	  --requirement examples/demo/requirements.txt
	@touch $@

demo: $(DEMO_READY)  ## two models of a published library: trained, ported, checkpoint moved, training goes on in both
	$(DEMO)/bin/python examples/demo/run.py

test: lint  ## lint and every test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(if $(K),-k '$(K)')

lint: $(READY)  ## ruff, pyright, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: $(READY)  ## what lint asks for, as far as it can be done without thinking
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

corpus: $(CORPUS_READY)  ## ports every case of tests/corpus, writes docs/scoreboard.md; K=part-of-a-case-id, JOBS=2, RESUME=1
	$(CORPUS)/bin/python tests/corpus/run.py --jobs $(JOBS) $(if $(K),-k '$(K)') $(if $(RESUME),--resume)

bench: $(READY)  ## the benchmarks, side by side with what they are compared to
	@set -e; for f in benchmarks/bench_*.py; do test -f $$f || continue; echo "== $$f"; $(BIN)/python $$f; done

docs: $(READY)  ## the pages that are made from declarations
	$(BIN)/python docs/generate.py

fuzz: $(READY)  ## generated inputs, more of them than in test
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n $(JOBS) tests -k 'law or fuzz'

constraints: $(READY)  ## pins again what .venv holds now
	@{ echo "# Every version that this project is built and tested with. Regenerate with: make constraints"; \
	  { $(BIN)/python -m pip freeze --exclude-editable --exclude linen2nnx; grep '^setuptools==' constraints.txt; } \
	  | sort -f; } > constraints.new
	@mv constraints.new constraints.txt

clean:  ## removes the environments and what was made
	rm -rf .venv .venv-corpus .venv-demo .work build dist *.egg-info
