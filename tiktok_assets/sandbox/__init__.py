"""The sandbox: a real HTTP server that imitates the TikTok Marketing API."""
