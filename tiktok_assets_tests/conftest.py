"""What every test begins with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import settings

from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, DuplicationHarness, open_harness

settings.register_profile("calm", deadline=None)  # a law is no matter of time, and other programs run beside
settings.load_profile("calm")


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """No Dagster instance: it goes on looking for one that was left out of turn, long after it is gone."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture(scope="module")
def story_host() -> Iterator[Host]:
    """The world with the story, over real HTTP; each test of a module asks for a copy of another number."""
    with Host.run(PLAN) as running:
        yield running


@pytest.fixture
def bench(story_host: Host, tmp_path: Path) -> Iterator[DuplicationHarness]:
    """The story's objects and the truth of what is made, with a ledger of the test's own."""
    with open_harness(story_host, tmp_path) as one:
        yield one
