"""Fixture: a sender process for deliveries to one channel at a time."""

from collections.abc import Iterator

import pytest

from tiktok_assets.alerts.sender_process import SenderProcess


@pytest.fixture(scope="session")
def sender() -> Iterator[SenderProcess]:
    """Return a process for many deliveries; by default each delivery starts its own, in a third of a second."""
    with SenderProcess() as process:
        yield process
