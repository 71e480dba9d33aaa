"""Load these definitions into a Dagster project from `defs.yaml`."""
