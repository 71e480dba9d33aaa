"""Define the code location `south`."""

from agency import build_location

defs = build_location("south")
