"""`account_overview.html`: frames in, one page out that opens anywhere; knows nothing of Dagster."""
