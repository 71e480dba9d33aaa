"""Tests of the whole application against a sandbox."""
