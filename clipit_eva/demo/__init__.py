"""A synthetic cohort with a known truth, and the whole method on it."""
