"""`--fix` and `undo`: what would be changed (planner, pure), making it and taking it back (executor, writers), waiting
for it (follow) and judging it (verify, pure). Nothing here asks or prints: events tell what happens."""
