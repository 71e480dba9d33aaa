"""How long a command waits while a person looks on."""

from collections.abc import Iterator
from contextlib import contextmanager

from tiktok_assets.api.client import Policy
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings

BRIEF = Policy(attempts=3, total_seconds=120.0, wait_max_seconds=2.0, throttle_seconds=1.5, patience_seconds=10.0)
"""A few more tries; an app that TikTok holds back for longer than this is told with the time to come back."""


@contextmanager
def open_briefly(settings: Settings) -> Iterator[Session]:
    """A session that would rather tell what is wrong than wait."""
    with open_session(settings, policy=BRIEF) as session:
        yield session
