"""Pairing each image with its most similar reports."""
