"""What a refresh reads and writes, without Dagster."""
