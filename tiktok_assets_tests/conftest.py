"""What every test begins with."""

from collections.abc import Iterator

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import settings

settings.register_profile("calm", deadline=None)  # a law is no matter of time, and other programs run beside
settings.load_profile("calm")


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """No Dagster instance: it goes on looking for one that was left out of turn, long after it is gone."""
    with set_defs_state_storage(None):
        yield
