"""Tests of the checks: one frame that passes and one that fails for each."""
