"""Tests of `refresh`."""
