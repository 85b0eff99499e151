"""Where the row store stood before `embeddings` had a room; scripts import it from here."""

from clipit_eva.embeddings.row_store import RowStore

__all__ = ["RowStore"]
