"""The environment of processes that tests start, without the settings of the user who runs the tests."""

import os
from collections.abc import Mapping


def clean_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without variables of this project and Dagster, plus the given ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIKTOK_", "DAGSTER_"))}
    return {**kept, **(variables or {})}
