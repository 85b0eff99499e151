"""From saved predictions to what a paper needs: complementarity, significance, tables, figures."""
