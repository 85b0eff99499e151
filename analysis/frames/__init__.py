"""The numbers of every table and figure, unrounded: one row a comparison."""
