"""What touches an `eva` process: one-line exits and the recorder of what ran."""
