"""An open connection to the API and the store, built from the settings; knows nothing of Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from tiktok_assets.api.client import Client, Policy, Tally
from tiktok_assets.api.fetch import Fetcher
from tiktok_assets.api.limiter import SharedBudget
from tiktok_assets.refresh.accounts import advertisers_to_read
from tiktok_assets.refresh.reading import Reader
from tiktok_assets.settings import Settings
from tiktok_assets.spec.dialect import metrics_of
from tiktok_assets.storage.hive_parquet import HiveStore

if TYPE_CHECKING:
    from tiktok_assets.storage.state import State

BUDGET_FILE = "request_budget.sqlite"


class Session:
    """A connection and a store for as long as one run, or one `sync`, takes. Opens on first use."""

    def __init__(self, settings: Settings, *, policy: Policy | None = None) -> None:
        self.settings = settings
        self.store = HiveStore(settings.data_dir)
        self._policy = policy

    @property
    def total(self) -> Tally:
        """What everything asked so far cost."""
        return self._client.total

    @cached_property
    def _budget(self) -> SharedBudget:
        settings = self.settings
        path = settings.state_dir / BUDGET_FILE
        return SharedBudget(path, settings.requests_per_second, settings.requests_per_minute)

    @cached_property
    def _client(self) -> Client:
        settings = self.settings
        return Client(
            settings.base_url,
            settings.access_token.get_secret_value() if settings.access_token else None,
            version=settings.api_version,
            budget=self._budget,
            policy=self._policy,
        )

    @cached_property
    def state(self) -> "State":
        """The transactional state.

        Raises:
            StateError: if it cannot be opened.
        """
        from tiktok_assets.storage.state import State  # noqa: PLC0415 - `get` needs no database

        return State(self.settings.state_address)

    @cached_property
    def reader(self) -> Reader:
        """What reads; its clock is the host's."""
        metrics = metrics_of(self.settings.api_version, self.settings.chosen_metrics)
        return Reader(Fetcher(self._client), self._client.now, metrics)

    @cached_property
    def advertiser_ids(self) -> list[str]:
        """The accounts to read; asked of the API at most once a session, and not if the settings name them.

        Raises:
            TikTokError: if they must be listed and cannot be.
        """
        return advertisers_to_read(self.reader, self.settings)

    def now(self) -> datetime:
        """The aware instant by the host's clock."""
        return self.reader.now()

    def close(self) -> None:
        """Close connections and threads, if any were opened."""
        if "reader" in self.__dict__:
            self.reader.fetcher.close()
        if "state" in self.__dict__:
            self.state.close()
        if "_client" in self.__dict__:
            self._client.close()
        if "_budget" in self.__dict__:
            self._budget.close()


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """A session that is closed afterwards."""
    session = Session(settings)
    try:
        yield session
    finally:
        session.close()
