"""Read TikTok Ads data from the API and write it to the stored tables, without Dagster."""
