"""Opening the one Dagster instance, which several processes may be the first to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from filelock import FileLock

from tiktok_assets.instance import prepare_instance
from tiktok_assets.settings import Settings


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of these settings, made if it is new.

    Raises:
        StoreError: if its folder cannot be made.
    """
    home = prepare_instance(settings)
    # Two processes that create the same SQLite instance at once leave it with two schema versions.
    with FileLock(home / "creation.lock"):
        instance = dg.DagsterInstance.get()
    with instance:
        yield instance
