# The verbs of this repository. `make` alone lists them.
#
# Nothing here needs root. What a verb needs it sets up by itself, once, in .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.ready
# Where pip puts uv when the machine has none of its own.
LOCAL_UV := build/uv/bin/uv
# A machine's own uv is taken when it works; a shim that only says what is missing does not.
UV ?= $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(LOCAL_UV))
# Tests start servers of their own, which need cores too: more workers than this slow each other down.
TEST_WORKERS ?= 2
COMPILE := pip compile -q --universal --python-version 3.11 --generate-hashes --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run demo test check fix proto simulate chaos bench focus lock clean
.PHONY: check-lint check-types check-floors check-protos check-house python-3.12

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with everything that the locks name (other verbs do this by themselves)

run: $(STAMP) ## Start the service on its embedded defaults, or on what the environment names
	$(RUN) -m service

demo: $(STAMP) ## Watch the whole main job against the sandbox: make demo [IMAGE=path/to/picture]
	$(RUN) deploy/demo.py $(if $(IMAGE),--image "$(IMAGE)")

test: $(STAMP) ## Run all tests; what a missing Debian program skips is listed at the end
	$(RUN) -m pytest -n $(TEST_WORKERS) --dist worksteal

check: check-lint check-types check-floors check-protos check-house ## What CI asks first; never writes (make -k check: all findings)

check-lint: $(STAMP)
	$(RUN) -m ruff check --no-fix .
	$(RUN) -m ruff format --check .

check-types: $(STAMP)
	$(RUN) -m mypy

check-floors: $(STAMP)
	$(VENV)/bin/lint-imports --no-logo

check-protos: $(STAMP)
	$(VENV)/bin/buf lint proto
	$(VENV)/bin/buf format --diff --exit-code proto
	$(RUN) proto/generate.py --check

check-house: $(STAMP)
	$(RUN) -m pytest -q tests/house

fix: $(STAMP) ## Repair what machines can repair: lint and format
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .
	$(VENV)/bin/buf format --write proto

proto: $(STAMP) ## Generate the stubs from proto/
	$(RUN) proto/generate.py

chaos: $(STAMP) ## Kill, stop and cut real processes, then compare three books: make chaos [ROUNDS=50] [SEED=n]
	$(RUN) -m tests.chaos --rounds $(or $(ROUNDS),50) $(if $(SEED),--seed $(SEED))

simulate: $(STAMP) ## Live through SEEDS=1000 made-up worlds of crashes and lies, or SEED=n alone, and compare the books
	$(RUN) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000))

bench: $(STAMP) ## Measure, and write benchmarks/results.json
	$(RUN) -m benchmarks

focus: build/focus/.ready ## Set up FOCUS's own validator in build/focus, for its test (needs a Python 3.12)

python-3.12: # say where one is that works, a version manager's too
	@for python in python3.12 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12.*/bin/python3.12; do \
		"$$python" -c '' >/dev/null 2>&1 && command -v "$$python" && exit; done; \
		echo 'a Python 3.12 is missing' >&2; exit 1

lock: $(STAMP) ## Write the locks anew: two from the two pyproject.toml, and that of FOCUS's validator
	$(UV) $(COMPILE) --no-emit-package lightmeter pyproject.toml clients/python/pyproject.toml --extra cli -o requirements/run.txt
	$(UV) $(COMPILE) --no-emit-package lightmeter -c requirements/run.txt pyproject.toml clients/python/pyproject.toml --extra cli --group dev -o requirements/dev.txt
	printf 'focus-validator==2.2.1\npyarrow<21\n' | $(UV) pip compile -q --python-version 3.12 --generate-hashes --no-header - -o requirements/focus.txt

clean: ## Remove what the verbs made: .venv, caches, builds, and what a local run wrote
	rm -rf $(VENV) build dist var demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

# pip alone takes half a minute for the same packages, so uv comes first, pinned and hashed like the rest.
$(LOCAL_UV): requirements/uv.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
		--upgrade --target build/uv --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

# The validator pins packages that the service has newer, and does not install on another Python.
build/focus/.ready: requirements/focus.txt | $(filter $(LOCAL_UV),$(UV))
	python=$$($(MAKE) -s python-3.12) && $(UV) venv -q --clear --no-python-downloads --python "$$python" build/focus
	$(UV) pip install -q --python build/focus/bin/python --require-hashes -r $<
	@touch $@

$(STAMP): requirements/dev.txt clients/python/pyproject.toml | $(filter $(LOCAL_UV),$(UV))
	test -x $(RUN) || $(UV) venv -q --no-python-downloads --python "$(PYTHON)" $(VENV)
	$(UV) pip install -q --python $(RUN) --require-hashes -r requirements/dev.txt
	$(UV) pip install -q --python $(RUN) --no-deps -e . -e clients/python
	@touch $@
