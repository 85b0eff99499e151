"""Runs as they lie on disk: what they predicted, what they ran with, and which may be compared."""
