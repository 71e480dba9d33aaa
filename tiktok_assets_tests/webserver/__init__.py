"""Tests of `tiktok_assets.webserver`."""
