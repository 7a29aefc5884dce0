# make demo     retrains two models end to end, from images to a promoted version
# make test     runs the test suite
# make test-fast      its unit tests alone, in a minute and a half
# make test-numerics  runs the tests of gan_models with the rounding of other processors, and from other seeds
# make lint     formatting, lint, types, the arrows between rooms, dead code, dependencies, spelling
# make audit    known weaknesses of the locked packages, where their database can be reached
# make stack    builds the images and starts the whole stack for a team in containers: docs/operations.md
# make stack-stop   stops it; what it holds stays
# make stack-test   puts a stack of its own through nights, faults, a restore and an upgrade; writes docs/stack-test.md
# make install  creates .venv from the lock file; the others run it when it is needed
# make lock     resolves requirements.lock again from pyproject.toml

PYTHON ?= python3
BIN := .venv/bin
# uv's own choice of PyTorch build, e.g. `make install TORCH_BACKEND=cpu`; empty takes the lock file's.
TORCH_BACKEND ?=

DOCKER ?= docker
COMPOSE ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
STACK := $(COMPOSE) --file deploy/compose.yaml
GPU := $(shell nvidia-smi --list-gpus > /dev/null 2>&1 && echo yes)
# Of deploy/Dockerfile, for servers and for workers without a GPU; `cuda` where PyTorch's own index cannot be reached.
STACK_TARGET ?= cpu
BUILD_OPTIONS ?=
TORCH_INDEX ?=
BUILD := DOCKER_BUILDKIT=1 $(DOCKER) build $(BUILD_OPTIONS) --build-arg TORCH_INDEX=$(TORCH_INDEX) --file deploy/Dockerfile

.PHONY: install demo test test-fast test-numerics lint audit lock clean stack stack-images stack-stop stack-test

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atelier needs Python 3.11 or newer; point PYTHON at one: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install
	$(BIN)/atelier retrain configs/digits-generator.yaml configs/photo-restorer.yaml

test: install
	$(BIN)/pytest

test-fast: install
	$(BIN)/pytest tests/unit

test-numerics: install
	$(BIN)/python -m tests.support.numerics

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry --no-ansi .
	$(BIN)/vulture
	git ls-files -z | xargs -0 $(BIN)/codespell

audit: install
	@if $(BIN)/python -c 'import socket; socket.create_connection(("api.osv.dev", 443), 10)' 2> /dev/null; then \
		$(BIN)/pip-audit --vulnerability-service osv --requirement requirements.lock --no-deps --disable-pip; \
	else \
		echo "SKIPPED: the database of known weaknesses (api.osv.dev) cannot be reached; nothing was audited"; \
	fi

lock: install
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 \
		--group dev pyproject.toml --output-file requirements.lock

stack: stack-images
	@sh deploy/secrets/create.sh $(STACK_SECRETS)
	$(STACK) --profile $(if $(GPU),gpu,no-gpu) up --detach --no-build --wait
	@sh deploy/addresses.sh

stack-images:
	$(BUILD) --target $(STACK_TARGET) --build-arg REVISION=$$(git rev-parse HEAD) --tag $${ATELIER_IMAGE:-gan-atelier:cpu} .
	$(if $(GPU),$(BUILD) --target cuda --build-arg REVISION=$$(git rev-parse HEAD) --tag $${ATELIER_GPU_IMAGE:-gan-atelier:cuda} .)

stack-stop:
	$(STACK) --profile '*' down

stack-test: install stack-images
	COMPOSE="$(COMPOSE)" DOCKER="$(DOCKER)" $(BIN)/python -m tests.stack

clean:
	rm -rf .venv .atelier
