"""Define the code location `north`."""

from agency import build_location

defs = build_location("north")
