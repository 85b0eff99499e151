"""The predictions table and the callback that writes it."""
