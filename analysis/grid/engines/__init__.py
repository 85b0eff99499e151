"""Engines: where the jobs of a grid run."""
