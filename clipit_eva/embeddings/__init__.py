"""Embeddings of a frozen vision backbone, computed once and trained from."""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "EmbeddedBackbone": "clipit_eva.embeddings.embedded_backbone",
        "EmbeddingsWriter": "clipit_eva.embeddings.embeddings_writer",
    },
)
