"""Datasets: the paired report on any eva vision dataset, and hold-out splits."""
