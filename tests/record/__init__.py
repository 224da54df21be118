"""Recording of worlds from the lab: `python -m tests.record WORLD …` (or `all`) writes tests/worlds."""
