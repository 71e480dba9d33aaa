"""HTTP against the TikTok Marketing API, without Dagster."""
