"""The configs that eva reads: their names, where they lie and which variables they read."""
