"""Keep the app below TikTok's rate limits, across threads, processes and hosts."""
