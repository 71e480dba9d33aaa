"""Tests of `scaling`."""
