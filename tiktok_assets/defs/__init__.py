"""Define the Dagster assets, checks, jobs, schedules, sensors and resources."""
