"""Run a short suite with other versions of Python and of the dependencies."""
