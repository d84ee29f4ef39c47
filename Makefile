# Two commands: `make demo` (or `make demo BACKEND=torch`, `BACKEND=tensorflow`) and `make test`.

BACKEND ?= jax
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EXTRA := $(subst tensorflow,tensorflow-cpu,$(BACKEND))

# One thread for the demo: on a net this small, torch loses more by sharing the work than it gains.
.PHONY: demo test readme clean

demo: $(VENV)/.$(BACKEND)
	KERAS_BACKEND=$(BACKEND) OMP_NUM_THREADS=1 $(BIN)/python apps/recognise_digits.py --out demo

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/python -m tests

readme: $(VENV)/.test
	$(BIN)/python -m tests.readme --write

clean:
	rm -rf $(VENV) .cache demo build dist keraszoo.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("keraszoo needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.$(BACKEND): $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing keraszoo with $(BACKEND) into $(VENV): a minute or two, the first time."
	$(PIP) --editable ".[$(EXTRA)]"
	@touch $@

# keras-hub by itself: tensorflow-text, which it can do without, brings a tensorflow that overwrites tensorflow-cpu.
$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing keraszoo with all three backends into $(VENV): a few minutes, the first time."
	$(PIP) --editable ".[jax,torch,tensorflow-cpu,tfds,test]"
	$(PIP) --no-deps keras-hub kagglehub kagglesdk
	@touch $@
