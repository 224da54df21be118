# The lab (tests/lab): a real cluster in network namespaces on this machine; needs root and Go.
.PHONY: lab lab-down lab-status
lab: $(STAMP)
	@$(BIN)/python -m tests.lab up

lab-down: $(STAMP)
	@$(BIN)/python -m tests.lab down

lab-status: $(STAMP)
	@$(BIN)/python -m tests.lab status
