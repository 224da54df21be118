"""What each command does: one run, composed of connections, collecting, checks, probes, fixes and rendering."""
