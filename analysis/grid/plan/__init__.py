"""Plans: what a YAML file asks for, as the jobs of a grid."""
