"""The environment of processes that tests start: nothing of the settings of whoever runs the tests."""

import os
from collections.abc import Mapping


def clean_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any of our or Dagster's variables but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIKTOK_", "DAGSTER_"))}
    return {**kept, **(variables or {})}
