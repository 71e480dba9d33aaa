"""TikTok's own SDK and API description, which check the client and the sandbox."""
