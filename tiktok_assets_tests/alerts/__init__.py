"""Tests of tiktok_assets.alerts."""
