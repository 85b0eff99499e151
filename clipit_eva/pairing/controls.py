"""Names of the policies that pair at random; apart, so that a plan is read without pandas."""

CONTROLS = ("shuffled", "random", "constant")
"""Policies that break the link between image and report, to test what the link is worth: a table's
provenance names them under `control`."""
