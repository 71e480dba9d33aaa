"""Read from and write to the TikTok Marketing API over HTTP; independent of Dagster."""
