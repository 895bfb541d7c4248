# Two commands for users: `make run` and `make test`. Two for contributors: `make lint` and `make docs`.
# Everything is set up on first use: a virtual environment in .venv with the versions of constraints.txt.

PYTHON ?= python3
SCALE ?= here
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

# The tests start a PostgreSQL server and look at pages in a browser; both are Debian packages.
DEBIAN := $(shell command -v apt-get)
POSTGRES := $(wildcard /usr/lib/postgresql/*/bin/postgres)
CHROMIUM := $(shell command -v chromium)

.PHONY: run test lint docs bench pages clean

$(VENV)/run.stamp: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sillok needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q torch==$(TORCH)
	$(PIP) install -q -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(PIP) install -q -c constraints.txt -e '.[all,test,lint,docs]'
	touch $@

# Reads the example digest, measures what can be measured, and writes report.html.
run: $(VENV)/run.stamp
	$(BIN)/sillok read examples/first.md
	$(BIN)/sillok verify examples/first.md --scale $(SCALE) --report report.html
	@echo "Open report.html in a browser."
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then $(BIN)/python -m webbrowser -t report.html; fi

.PHONY: debian
debian:
ifneq ($(DEBIAN),)
ifneq ($(shell id -u),0)
	@test -n "$(POSTGRES)" -a -n "$(CHROMIUM)" || echo "The tests need Debian's postgresql and chromium: install them as root."
else
	@test -n "$(POSTGRES)" -a -n "$(CHROMIUM)" || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql chromium >/dev/null; }
endif
endif

test: debian $(VENV)/test.stamp lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/test.stamp pages
	$(BIN)/mkdocs build --strict

# The papers' and the testbeds' pages, made anew from the cards, the shipped results and the checkpoints.
pages: $(VENV)/run.stamp
	$(BIN)/python -m sillok.verify.pages docs/papers examples
	$(BIN)/python -m sillok.testbeds.pages docs/testbeds

bench: $(VENV)/test.stamp
	$(BIN)/python benchmarks/all.py

clean:
	rm -rf $(VENV) site report.html
