"""Bundles: what a run has read, as a file without secrets, which `--save` writes and `--from` reads."""
