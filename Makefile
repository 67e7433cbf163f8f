# make prove    prove every property of every network function
# make test     all tests of the tool itself, then its linters
# make run-demo fetch a page through the NAT, between network namespaces (needs root)
# make docs     the documentation as a site, build/site/index.html
# make build    only the binaries: libVig and each network function
# make clean    remove what was built, but keep the Python environment (.venv)
#
# ARGS goes to pytest: make prove ARGS='-k bridge -v'. PYTHON and CC choose another Python (3.11 or newer) or compiler.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SPREAD := -n auto --maxprocesses 8

.PHONY: prove test docs run-demo build clean compiler python
.NOTPARALLEL:

prove: build
	$(PYTEST) --vigor properties/ --ignore properties/libvig $(ARGS)
	$(PYTEST) $(SPREAD) --maxschedchunk 1 --vigor properties/libvig/ $(ARGS) || \
		{ [ $$? = 5 ] && [ -n "$(value ARGS)" ]; } # ARGS may leave out all

test: .venv/test.stamp build
	$(PYTEST) $(SPREAD) -rs tests/ $(ARGS)
	$(BIN)/ruff check .
	$(BIN)/mypy

run-demo: build
	PYTHON=$(BIN)/python nfs/nat/demo.sh

docs: .venv/test.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

build: .venv/prove.stamp | compiler
	$(BIN)/python -m pytest_vigor build --libvig nfs/*/

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis nfs/*/*.so nfs/*/.vigor
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# What each environment holds is decided by pyproject.toml alone, so only its change makes one anew.
.venv/prove.stamp: pyproject.toml | python compiler
	@echo 'Installing what proving needs into .venv (some 500 MB; one to three minutes)'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[prove]'
	@touch $@

.venv/test.stamp: pyproject.toml .venv/prove.stamp | python compiler
	@echo 'Installing what testing needs into .venv'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[test]'
	@touch $@

python:
	@$(BIN)/python -c 'import pip' >/dev/null 2>&1 && exit 0; \
	command -v $(PYTHON) >/dev/null || \
		{ echo 'Python is missing: apt-get install python3 python3-venv' >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer and say make PYTHON=python3.11" >&2; exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'Python cannot make environments: apt-get install python3-venv' >&2; exit 1; }; \
	$(PYTHON) -m venv --clear .venv

# make sets CC to cc unless told otherwise; then any compiler will do.
COMPILERS := $(if $(filter default,$(origin CC)),cc gcc clang,'$(CC)')

compiler:
	@for compiler in $(COMPILERS); do \
		echo '#include <stdlib.h>' | $$compiler -E - >/dev/null 2>&1 && exit 0; \
	done; \
	echo "A C compiler ($(COMPILERS)) with the C library's headers is missing: apt-get install gcc libc6-dev" >&2; exit 1
