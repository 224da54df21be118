# The lab (tests/lab): a real cluster in network namespaces on this machine; needs root and Go.
# PYTHON is the interpreter that has the test requirements; the project's Makefile may set it.
PYTHON ?= .venv/bin/python

.PHONY: lab lab-down lab-status
lab:
	$(PYTHON) -m tests.lab up

lab-down:
	$(PYTHON) -m tests.lab down

lab-status:
	$(PYTHON) -m tests.lab status
