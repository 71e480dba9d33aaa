"""Mutations that put fixed bugs back, to see whether the tests still catch them."""
