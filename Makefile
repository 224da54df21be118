# Every target works on a fresh clone; .venv is made on first use.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: help demo test lint docs fuzz e2e e2e-smoke bench clean
help:
	@echo "make demo   diagnose a recorded cluster (no cloud, no cluster)"
	@echo "make test   linters and all tests that need no lab"
	@echo "make lab    start a real cluster with real target health on this machine (root, Go)"
	@echo "make e2e    tests on the lab;  make lab-down stops it"

$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed (PYTHON=...)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@$(BIN)/python -m kubectl_lbdoctor.collect.aws_models_cut
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/kubectl-lbdoctor --from docs/demo/bundle.json; status=$$?; \
	echo; echo "(exit status $$status: a finding. This was recorded on the lab; try: $(BIN)/kubectl-lbdoctor explain LBD301)"; \
	test $$status -eq 1

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

docs: $(STAMP)
	@$(BIN)/python -m tests.write_docs

e2e: lab
	@$(BIN)/python -m pytest tests/e2e -v

e2e-smoke: lab
	@$(BIN)/python -m pytest tests/e2e -v -m smoke

bench: $(STAMP)
	@$(BIN)/python -m bench

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

include lab.mk
