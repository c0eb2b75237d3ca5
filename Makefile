# The commands of the house. Each builds .venv when it is missing and installs what it needs.
#   make PYTHON=python3.12 test       another interpreter (3.11 or newer)
#   make test ARGS="-k idx"           more arguments for pytest, `retrograd train` or the benchmarks

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PARITY := tests/parity

# One process per core does the parallel work in the tests; threads inside each would only compete.
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg

.DEFAULT_GOAL := help
.PHONY: help train test parity browser kernels notebooks docs lint format bench clean dot

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: dot $(VENV)/.with-demo ## train a network on handwritten digits; results go to runs/digits
	$(BIN)/retrograd train mlp --data digits --out runs/digits $(ARGS)

test: dot $(VENV)/.with-test ## run the tests (needs neither PyTorch nor a GPU)
	$(TEST_ENV) $(BIN)/python -m pytest -q -n auto --ignore=$(PARITY) $(ARGS)

parity: $(VENV)/.with-test $(VENV)/.with-parity ## compare every function with PyTorch (installs PyTorch)
	$(TEST_ENV) $(BIN)/python -m pytest -q -n auto $(PARITY) $(ARGS)

browser: $(VENV)/.with-test $(VENV)/.with-browser ## open the interactive graph pictures in Chromium
	$(TEST_ENV) $(BIN)/python -m pytest -q tests/viz/test_pages.py $(ARGS)

kernels: $(VENV)/.with-test $(VENV)/.with-kernels ## compile every GPU kernel, without a GPU
	$(TEST_ENV) $(BIN)/python -m pytest -q tests/backends/test_cuda_kernels.py $(ARGS)

notebooks: dot $(VENV)/.with-test $(VENV)/.with-docs ## run every notebook from top to bottom
	$(BIN)/python -m pytest -q tests/test_notebooks.py
	$(BIN)/python notebooks/run.py $(ARGS)

docs: dot $(VENV)/.with-docs ## build the documentation into site/, warnings being errors; open site/index.html
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/mkdocs build --strict $(ARGS)

lint: $(VENV)/.with-dev ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.with-dev ## put the code into the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.with-demo $(VENV)/.with-numba $(VENV)/.with-parity ## measure against PyTorch, JAX, autograd, MyGrad and bare NumPy
	$(BIN)/python benchmarks/run.py --threads 1,2 --rounds 4 $(ARGS)

clean: ## remove the virtual environment and what tools have cached
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

dot:
	@command -v dot > /dev/null || echo "Pictures need Graphviz's dot, which is not installed: \
	sudo apt-get install graphviz (Debian, Ubuntu), brew install graphviz (macOS) or conda install -c conda-forge graphviz."

# A stamp says which extra is installed; a newer pyproject.toml makes it stale.
$(VENV)/.with-%: pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "retrograd needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; \
	exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
