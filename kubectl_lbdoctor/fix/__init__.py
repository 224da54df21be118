"""`--fix`: what would be changed (planner, pure), and making, undoing and following it (executor, writers)."""
