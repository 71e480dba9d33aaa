"""Tests of the pages in Chromium: `make browser`; `PICTURES=docs make browser` also saves the screenshots."""
