"""Tests of `tiktok_assets.cli`."""
