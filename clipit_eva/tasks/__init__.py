"""The configs that eva reads: their names, where they lie, and what they are rendered from."""
