"""Tests of `tiktok_assets.sandbox`."""
