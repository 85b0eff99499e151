"""Pairing each image with its most similar reports."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "PairingWriter": "clipit_eva.pairing.pairing_writer",
        "ReportSource": "clipit_eva.embeddings.report_source",
    },
)
