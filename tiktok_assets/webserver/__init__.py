"""Serve Dagster's webserver and the pages of this package behind a guard against other web sites."""
