# Every target works on a fresh clone; .venv is made on first use.
PYTHON ?= python3
BIN := .venv/bin
PRODUCT := .venv/.product
STAMP := .venv/.ready
FREEZER := build/freezer/.ready
TOOLS := build/tools/.ready

.PHONY: help demo dist dist-check packages sbom lock audit test lint docs fuzz e2e e2e-smoke browser-test bench clean
help:
	@echo "make demo   diagnose a recorded cluster (no cloud, no cluster)"
	@echo "make dist   the plugin with Python inside, for krew (this platform); make dist-check tries it with the real krew"
	@echo "make test   linters and all tests that need no lab"
	@echo "make lab    start a real cluster with real target health on this machine (root, Go)"
	@echo "make e2e    tests on the lab;  make lab-down stops it"

# The product alone: what `make demo` needs. The models of AWS are cut anew when a read or a fix is declared.
$(PRODUCT): setup.cfg pyproject.toml kubectl_lbdoctor/model/reads.py kubectl_lbdoctor/model/plan.py kubectl_lbdoctor/model/group_edits.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is not Python 3.10 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || { \
	  echo "error: $(PYTHON) cannot make an environment with pip in it;" \
	    "Debian and Ubuntu have that in a package of its own: apt install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@$(BIN)/python -m kubectl_lbdoctor.collect.aws_api.models_cut
	@touch $@

$(STAMP): $(PRODUCT)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

demo: $(PRODUCT)
	@sh docs/demo/demo.sh $(BIN)/kubectl-lbdoctor

test: $(STAMP) lint
	@$(BIN)/python -m pytest tests --ignore=tests/e2e --ignore=tests/lab -n 2 --dist worksteal

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$out"; exit 1; }

# Longer, and with other examples in each run: FUZZ_SEED=... repeats one.
fuzz: $(STAMP)
	@seed=$${FUZZ_SEED:-$$(date +%s)}; echo "FUZZ_SEED=$$seed"; \
	FUZZ_SEED=$$seed FUZZ_SECONDS=$${FUZZ_SECONDS:-120} $(BIN)/python -m pytest tests/fuzz -n 2

# Environments of locked versions with hashes (`make lock` renews the locks): what goes into the archive, and tools.
build/freezer/.ready: packaging/requirements.lock
build/tools/.ready: packaging/tools.lock
$(FREEZER) $(TOOLS):
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -I -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

dist: $(FREEZER)
	@build/freezer/bin/python packaging dist

# With the real krew and its validator (Go builds them) and kubectl; what is missing is skipped and named.
dist-check: dist $(STAMP)
	@cd tests/packaging/krew && go build -o ../../../build/krew/ tool || echo "krew cannot be built here (Go 1.24)" >&2
	@$(BIN)/python -m pytest tests/packaging -v -rs

lock: $(TOOLS)
	@for name in requirements tools; do \
	  test $$name = requirements && own=setup.cfg || own=; \
	  build/tools/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
	    --custom-compile-command 'make lock' --output-file packaging/$$name.lock $(UPGRADE) packaging/$$name.in $$own || exit; \
	done

# Known vulnerabilities in what goes into the archive.
audit: $(TOOLS)
	@build/tools/bin/pip-audit --strict --disable-pip --require-hashes --requirement packaging/requirements.lock

sbom: $(TOOLS) $(FREEZER)
	@mkdir -p dist
	@build/tools/bin/cyclonedx-py environment --output-reproducible --output-file dist/sbom.cdx.json build/freezer/bin/python

# Wheel and source distribution.
packages: $(TOOLS)
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) build/tools/bin/pyproject-build --outdir dist .

docs: $(STAMP)
	@$(BIN)/python -m tests.write_docs

# What has a namespace of its own runs beside others; what changes nodes, controller or network runs alone.
e2e: lab
	@status=0; \
	$(BIN)/python -m pytest tests/e2e -v -m "not alone" -n $${E2E_WORKERS:-3} --dist worksteal || status=1; \
	$(BIN)/python -m pytest tests/e2e -v -m alone || status=1; \
	exit $$status

e2e-smoke: lab
	@$(BIN)/python -m pytest tests/e2e -v -m smoke

# Pages in a real browser: a chromium on PATH, and npm for axe-core, which judges contrast and names.
build/browser/.ready: setup.cfg
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]' playwright
	@npm install --silent --no-save --prefix $(@D) axe-core mermaid || echo "without npm: contrast is not judged" >&2
	@touch $@

browser-test: build/browser/.ready
	@BROWSER_MODULES=build/browser/node_modules build/browser/bin/python -m pytest tests/browser -v -rs

bench: $(STAMP)
	@$(BIN)/python -m bench

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

include lab.mk
