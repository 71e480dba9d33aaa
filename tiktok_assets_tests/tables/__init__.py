"""Tests of tiktok_assets.tables."""
