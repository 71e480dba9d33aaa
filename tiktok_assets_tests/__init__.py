"""The tests of `tiktok_assets`, one folder per room."""
