# `make run` and `make test` do all set-up themselves; see README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install run test conformance test-all system check faults lint format types docs lock clean

install: $(VENV)/installed

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kling-campaigns needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.txt --constraint requirements.txt
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.txt --constraint requirements-dev.txt
	touch $@

run: install
	$(BIN)/campaign run data/campaign.csv

# Two cores are busy with four workers. Hundreds of processes load the same modules: compiled once, wherever that is
# switched off for the rest of the machine.
test: $(VENV)/installed-dev system
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 4 --dist worksteal

# The service's official clients, unmodified, against the simulator; docs/conformance.md.
conformance: $(VENV)/installed-dev system
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 4 --dist worksteal tests/conformance

# Both in one run: what `make test` leaves out is not left out here.
test-all: $(VENV)/installed-dev system
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 4 --dist worksteal -o 'norecursedirs=.*'

# A thousand seeded schedules of faults, and the text-book pipeline beside them: COUNT=100 for fewer, SEED=7 for one.
faults: $(VENV)/installed-dev
	$(BIN)/python benchmarks/faults.py --count $(or $(COUNT),1000) $(if $(SEED),--seed $(SEED))

# The programs outside Python that the tests start: installed where that is allowed, else named.
system:
	@tests/install_programs.sh

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/installed-dev
	$(BIN)/mypy

check: lint types test

# Writes what is generated in docs/ from the code; a test says when that is needed.
docs: $(VENV)/installed-dev
	$(BIN)/python tests/generated_docs.py

# Locks every dependency with hashes and without the address of an index, for all supported Pythons.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --output-file requirements.txt pyproject.toml requirements-build.in
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --constraint requirements.txt --group dev --output-file requirements-dev.txt
	for folder in tests/conformance/python_*; do \
	  (cd $$folder && uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --output-file requirements.txt requirements.in) || exit 1; \
	done
	for folder in tests/conformance/npm_*; do \
	  (cd $$folder && npm install --package-lock-only --ignore-scripts --no-audit --no-fund) || exit 1; \
	done

clean:
	rm -rf $(VENV) .campaign runs .mypy_cache .ruff_cache .pytest_cache
