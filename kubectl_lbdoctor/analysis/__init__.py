"""What follows from the facts of a snapshot: derived knowledge that several checks need, each computed in one place.

Everything here is pure: it opens facts (and so raises `Unknown` where a read did not succeed) and asks nobody.
"""
