"""TikTok Ads reporting on Dagster."""
