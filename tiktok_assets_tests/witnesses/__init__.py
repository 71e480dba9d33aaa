"""Programs of other projects that read the sandbox; run by hand, not part of the suite."""
