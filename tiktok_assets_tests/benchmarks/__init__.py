"""Benchmarks of speed and memory; `make benchmark` runs them."""
