"""Tests of tiktok_assets.top_spenders."""
