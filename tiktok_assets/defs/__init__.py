"""All of Dagster, one module per group of the asset graph."""
