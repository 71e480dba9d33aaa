"""Tests of the overview page."""
