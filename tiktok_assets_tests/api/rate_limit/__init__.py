"""Tests of `api.rate_limit`."""
