"""Parse API objects and report rows into typed Polars frames."""
