"""Simulated years of refreshes, alerts and duplications with faults at every seam: docs/reliability.md."""
