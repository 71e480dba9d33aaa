"""A project with TikTok tables and dbt models on them."""
