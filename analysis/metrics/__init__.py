"""Numbers of predictions: scores, and what text knows that vision does not."""
