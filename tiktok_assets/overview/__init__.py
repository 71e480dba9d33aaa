"""Build the page `account_overview.html` from the stored tables, without Dagster."""
