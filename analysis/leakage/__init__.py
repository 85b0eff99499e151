"""Ways in which a test set may have been known in training, looked for in what runs recorded."""
