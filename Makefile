# One environment in .venv; it is made anew when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
TORCH := torch==2.13.0

export QT_QPA_PLATFORM ?= offscreen

.PHONY: demo test lint format bench clean

demo: $(VENV)/demo
	$(RUN) Testing/Host/run.py Testing/Demo/demo.py

test: $(VENV)/test
	$(RUN) -m pytest

lint: $(VENV)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/test
	$(RUN) Testing/Benchmarks/bench_tiling.py
	$(RUN) Testing/Benchmarks/bench_worker.py
	$(RUN) Testing/Benchmarks/bench_import.py
	$(RUN) Testing/Benchmarks/bench_training.py

clean:
	rm -rf $(VENV) output build

# torch first and by exact version, so that pip takes a build that lies on the machine (PIP_FIND_LINKS) instead of
# looking for the newest.
$(VENV)/demo $(VENV)/test: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else 'The demo and the tests need Python 3.11, 3.12 or 3.13, for which there are wheels of slicer-core; call: make PYTHON=python3.12')"
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet $(TORCH)
	$(RUN) -m pip install --quiet --editable ".[$(@F)]" $(TORCH)
	@touch $@
