# Two commands are enough on a machine with Python 3.11+ and make: `make demo` and `make test`.
# Everything is installed into .venv from the hashed locks in requirements/; nothing is re-installed until one of them changes.

# Another Python or other versions go into an environment of their own:
#   make test PYTHON=/path/to/python3.13 VENV=.venv313
#   make test RESOLUTION=lowest     the lowest versions that pyproject.toml allows, into .venv-lowest; or highest, what is newest today

PYTHON     ?= python3
RESOLUTION ?= locked
VENV       := $(if $(filter locked,$(RESOLUTION)),.venv,.venv-$(RESOLUTION))
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
# One more than the two cores they are meant for: much of it waits.
JOBS   ?= 3
ARGS   ?=

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo up rehearse test lint docs site bench simulate chaos mutants odd-files engine audit soak lock clean

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- run -------------------------------------------------------------------------------------------------------------

demo: $(VENV)/.run  ## Play one whole meeting on local fakes, download its recording, show the timeline
	@$(BIN)/rtmskit demo $(ARGS)

up: $(VENV)/.run  ## Start every fake and both functions, and keep them running
	@$(BIN)/rtmskit up $(ARGS)

rehearse: $(VENV)/.test  ## Run the Pulumi program on this machine and put it through every drill (ARGS="--drill meeting" picks)
	@$(BIN)/rtmskit rehearse $(ARGS)

# --- prove -----------------------------------------------------------------------------------------------------------

# Where Go builds Pulumi's engine, once, it does so before the tests: it takes longer than a test may.
test: $(VENV)/.test  ## Run every test (ARGS="-k name" narrows it)
	@$(BIN)/python -m tests.pulumi_engine.binary >/dev/null
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 2 $(ARGS)

lint: $(VENV)/.test  ## Format, lint, types, import contracts, sizes and names, security
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/lint-imports
	$(BIN)/python -m tests.lint
	$(BIN)/bandit -q -ll -ii -r function simulator

# A page names the part that is generated, <!--= NAME() =--> to <!--/-->; tests/docs/tables.py prints it.
COG     ?= -r
PAGES = $(shell grep -rl --include='*.md' '^<!--=' docs)

docs: $(VENV)/.test  ## Write the generated parts of the docs again (COG=--check only compares)
	$(BIN)/cog $(COG) -P -I . -p 'from tests.docs.tables import *' --markers='<!--= =--> <!--/-->' $(PAGES)
	$(if $(filter -r,$(COG)),$(BIN)/python -m tests.infra.regenerate)

# The documentation as a site, in an environment of its own. Building needs no network, nor does reading: the scripts that draw diagrams and
# search pages that no server serves come from npm, held to requirements/site-npm.sha512.
SITE = .venv-site

site: $(SITE)/.done  ## Build the documentation as a site in site/ (offline, with search)
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs -q build

$(SITE)/.done: requirements/site.txt requirements/site-npm.sha512
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip --disable-pip-version-check -q install --no-deps --require-hashes -r requirements/site.txt
	cd $(SITE) && npm pack --silent mermaid@11.17.2 iframe-worker@1.0.4 >/dev/null && sha512sum --quiet -c ../requirements/site-npm.sha512
	cd $(SITE) && tar xzOf mermaid-*.tgz package/dist/mermaid.min.js >mermaid.js && tar xzOf iframe-worker-*.tgz package/shim/index.js >shim.js && rm *.tgz
	@touch $@

# --- on demand, never part of `make test` ------------------------------------------------------------------------------

bench: $(VENV)/.test  ## Run every benchmark (ARGS="acks start rtms" runs those named)
	$(BIN)/python -m tests.benchmarks $(ARGS)

SEEDS ?= 400

simulate: $(VENV)/.test  ## Play SEEDS=N seeds of a hostile world; lost 0, doubled 0, or the seed that shows otherwise
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

chaos: $(VENV)/.test  ## Kill the real functions at random while the network misbehaves: 1,000 meetings on each store
	$(BIN)/python -m tests.chaos $(ARGS)

mutants: $(VENV)/.test  ## Break the function line by line and count who notices (ARGS="zoom main" picks modules)
	$(BIN)/python -m tests.mutants $(ARGS)

odd-files: $(VENV)/.test  ## Read 100,000 damaged transcripts and 5,000 damaged recordings: nothing raises, nothing vanishes
	$(BIN)/python -m tests.property.media $(ARGS)

engine: $(VENV)/.test  ## Change every key alone on every example stack, in Pulumi's own engine and in the tests' one
	RTMSKIT_REQUIRE_PULUMI=1 $(BIN)/pytest -m long tests/pulumi_engine $(ARGS)

audit: $(VENV)/.test  ## Hold the pins against the advisories kept here, and say how old those are
	$(BIN)/python -m tests.security.audit $(ARGS)

soak: $(VENV)/.test  ## Record four hours of a meeting of ten at full speed, watching memory
	$(BIN)/python -m tests.benchmarks.soak $(ARGS)

# --- environment -----------------------------------------------------------------------------------------------------
# --no-deps --require-hashes: exactly the lock, from whatever index this machine's pip is set to.
# The checkout itself goes in editable and without build isolation: its build backend is in the lock too.

$(BIN)/python:
	@echo "Installing pinned packages into $(VENV). This happens once and takes a minute or more." >&2
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtmskit needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

ifeq ($(RESOLUTION),locked)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	$(PIP) install --no-deps --require-hashes -r requirements/test.txt
	@touch $@

else

# Not reproducible on purpose: what the index has today, within the bounds of pyproject.toml. The lowest are those of what is named there;
# what that needs in turn is new. (Only wheels: an old source package does not say what it needs to be built.)
RESOLVE := --resolution $(if $(filter lowest,$(RESOLUTION)),lowest-direct,$(RESOLUTION)) --only-binary :all: --upgrade

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) install uv
	$(BIN)/uv pip install -q --python $(BIN)/python $(RESOLVE) -r pyproject.toml --extra simulator --extra tunnel --extra infra --extra test --group dev
	$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@touch $@

endif

UV      ?= uv
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

lock:  ## Resolve pyproject.toml into the hashed locks (needs uv; ARGS=--upgrade moves the pins)
	$(COMPILE) $(ARGS) pyproject.toml --extra simulator --extra tunnel --extra infra --group dev -o requirements/test.txt
	$(COMPILE) pyproject.toml --extra simulator --group checkout -c requirements/test.txt -o requirements/run.txt
	$(COMPILE) --group site -o requirements/site.txt
	$(COMPILE) requirements/function.in -c requirements/test.txt -o function/requirements.txt
	$(COMPILE) infra/requirements.in -c requirements/test.txt -o infra/requirements.txt

clean:  ## Remove the environment and everything generated
	rm -rf .venv .venv-lowest .venv-highest $(SITE) $(VENV) .rtmskit dist build site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
