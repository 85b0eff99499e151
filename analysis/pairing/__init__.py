"""Diagnostics of pairing tables."""
