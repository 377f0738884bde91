# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test terraform-test terraform-checkov setup lint format docs bench clean help

help:  ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

demo: $(READY)  ## tune a real small model on a real data set, and show that it got better
	@$(BIN)/vertex-tuning demo

test: $(READY)  ## everything that CI runs: lint, types, tests, generated docs
	@$(BIN)/python scripts/check.py

terraform-test: $(READY)  ## terraform/ by Terraform itself, without a cloud: plan, apply, policy, mistakes
	@$(BIN)/python -m pytest -q -n auto --dist loadfile tests/terraform

terraform-checkov: $(READY)  ## what checkov says of the plan, in an environment of its own
	@$(BIN)/python -m scripts.terraform_checkov

setup: $(READY)  ## build the virtual environment

lint: $(READY)  ## style and types only
	@$(BIN)/python scripts/check.py lint

format: $(READY)  ## rewrite the sources in house style
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: $(READY)  ## rebuild what is generated: parts of the docs, and the compiled pipelines
	@$(BIN)/python -m pipelines.compile && $(BIN)/python scripts/docs.py

bench: $(READY)  ## measure what the README quotes
	@$(BIN)/python benchmarks/run.py

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .venv-checkov .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

$(READY): pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) VENV=$(VENV) sh scripts/setup.sh
	@touch $@
