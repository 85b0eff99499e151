"""Versions of results, by which a grid knows whether finished work still stands.

Whoever changes what a stage computes raises the stage's number; whoever only moves or rewords code
does not. `tests/test_result_versions.py` holds both to it by small results that are committed.
"""

from typing import Final

RESULT_VERSIONS: Final = {
    "cohort": 1,
    "embeddings": 1,
    "pairing": 1,
    "predictions": 1,
    "replacement": 2,
    "report": 3,
    "reports": 2,
    "training": 2,
}
"""Version of each stage's results: of the synthetic cohort; of embeddings of images and texts; of
pairs; of the predictions table; of the replacement of pairs; of the report; of reports as read,
prepared and cut into chunks; of trained models."""
