# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs. Extra arguments: make test ARGS='-k boot'

PYTHON = .build/venv/bin/python
UV = ../.build/tools/bin/uv
LOCK = UV_SYSTEM_CERTS=true $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
ARGS ?=

export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo fleet test interleave crashes check bench scale faults mutants simulate chaos soak conformance wheel format docs lock vendor screenshots clean setup

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

demo: ## boot a virtual machine through the whole service, and watch it speak
	@sh lab/bootstrap.sh demo
	@$(PYTHON) -m lab.demo $(ARGS)

fleet: ## start a whole fleet on this machine, boot guests, and break each of its parts
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m lab.fleet $(ARGS)

test: ## run every test, with real libvirt and QEMU among them
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m lab.runtests $(ARGS)

interleave: ## run each transaction beside each other one, interleaved at each statement (about six minutes)
	@sh lab/bootstrap.sh test
	@KILONOVA_INTERLEAVE=all $(PYTHON) -m pytest -q -n 2 tests/contract/test_interleaving.py $(ARGS)

crashes: ## kill processes at each failpoint of each request, and compare afterwards (docs/reliability.md)
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m tests.crashes $(ARGS)

check: ## lint, formatting, types, architecture, sizes, freshness of generated documents
	@sh lab/bootstrap.sh check
	@$(PYTHON) -m lab.check

bench: ## measure, and print one JSON object
	@sh lab/bootstrap.sh bench 1>&2
	@$(PYTHON) -m bench $(ARGS)

scale: ## measure a fleet of many simulated hosts (docs/scale.md); about 25 minutes
	@sh lab/bootstrap.sh bench 1>&2
	@$(PYTHON) -m bench.scale $(ARGS)

faults: ## break real daemons and guests, and see what the service does then (docs/faults.md)
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m faults $(ARGS)

simulate: ## run random plans of requests and faults under virtual time (docs/reliability.md): SEEDS=n, SEED=k
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m tests.simulation.explore --seeds $(or $(SEEDS),300) $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep $(KEEP)) $(ARGS)

chaos: ## break a fleet of real processes at random while clients use it (docs/reliability.md): MINUTES=n, SEED=k, ARGS=--real
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m tests.chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED)) $(ARGS)

mutants: ## take mechanisms away, one at a time: each must turn its test red
	@sh lab/bootstrap.sh test
	@$(PYTHON) -m lab.mutants $(ARGS)

soak: ## create and delete 100,000 servers: memory, descriptors, threads and the database stay as they are (about 35 minutes)
	@sh lab/bootstrap.sh bench 1>&2
	@$(PYTHON) -m bench.soak $(ARGS)

conformance: ## run OpenStack's own tests (Tempest) of Compute, Identity and Image against a box
	@sh lab/bootstrap.sh conformance
	@$(PYTHON) -m conformance $(ARGS)

wheel: ## build a wheel that holds all of the service, into dist/
	@sh lab/bootstrap.sh check
	@.build/venv/bin/hatchling build -t wheel

format: ## format the code
	@sh lab/bootstrap.sh check
	@.build/venv/bin/ruff check --fix-only --quiet .
	@.build/venv/bin/ruff format .

docs: ## write the generated documents anew
	@sh lab/bootstrap.sh check
	@$(PYTHON) -m kilonova.devtools.docs

vendor: ## fetch the third-party code of the web page anew, by src/kilonova/ui/vendor.json
	@sh lab/bootstrap.sh check
	@$(PYTHON) -m lab.vendor

screenshots: ## take the pictures of docs/ui.md anew, with real guests
	@sh lab/bootstrap.sh test
	@KILONOVA_SCREENSHOTS=docs/ui $(PYTHON) -m lab.runtests tests/browser/screenshots.py $(ARGS)

setup: ## set up everything for development, and do nothing else
	@sh lab/bootstrap.sh test

lock: ## choose the newest versions of all dependencies, and pin them by hash
	@sh lab/bootstrap.sh check
	cd requirements && for name in dev base build client bench tempest tools; do \
	  constraint=; case $$name in base|build) constraint='--constraint dev.txt';; esac; \
	  $(LOCK) --upgrade $$constraint --output-file $$name.txt $$name.in >/dev/null || exit 1; \
	  sed -i '1i # SPDX-License-Identifier: Apache-2.0' $$name.txt; \
	done

clean: ## remove everything that was made here
	rm -rf .build .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests lab bench faults conformance -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
