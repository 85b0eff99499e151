"""Image-text models: open_clip models by name or path, and CONCH."""
