"""How results are shown: a table of formats, one plain document per result, and the screens for people."""
