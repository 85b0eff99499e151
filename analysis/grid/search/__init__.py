"""Searches for hyperparameters of CLIP-IT."""
