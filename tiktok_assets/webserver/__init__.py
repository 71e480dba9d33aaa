"""Dagster's webserver and our own pages, served behind a guard against other web sites."""
