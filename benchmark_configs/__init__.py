"""The shipped eva configs (package data)."""
