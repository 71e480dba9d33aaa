"""Open the API client, the store and the state that the settings describe; independent of Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tiktok_assets.api import (
    Client,
    DailyQuotaError,
    Fetcher,
    PathBudgets,
    ReportTaskClient,
    RequestBudget,
    RequestStats,
    RetryPolicy,
    SqliteBudget,
    limit_per_second,
)
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.ingest import Reader, TaskReading, require_accounts, resolve_advertiser_ids
from tiktok_assets.settings import Settings
from tiktok_assets.spec import REPORT_TASKS, TOPVIEW_AND_PROMOTE, metrics_for_version
from tiktok_assets.storage import HiveStore, StoredTaskLog, StoredTimeouts, StoreError

if TYPE_CHECKING:
    from tiktok_assets.api import HttpTransport, Identity, IdentityStatus, TaskPolicy
    from tiktok_assets.duplication import Approval, Duplicator, ExecutionPolicy, Undoer
    from tiktok_assets.storage import State

BUDGET_FILE = "request_budget.sqlite"
OBJECT_CACHE_FOLDER = "object_cache"
MAX_LISTING_AGE_SECONDS = 30.0
"""For so long a run may not see what another process writes into an object store at the same time."""


class Session:
    """The connections of one Dagster run or one CLI command; each is opened on first use.

    Args:
        settings: the settings.
        policy: how often requests are retried; None for the default.
        transport: sends the requests of the API; None for HTTP.
        task_policy: when report tasks are checked; None for the default.

    Attributes:
        settings: the settings.
        store: the stored tables.
        planned_runs: the ids of runs that have logged their request plan.
        task_policy: when report tasks are checked; None for the default.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        policy: RetryPolicy | None = None,
        transport: "HttpTransport | None" = None,
        task_policy: "TaskPolicy | None" = None,
    ) -> None:
        self.settings = settings
        self._transport = transport
        self.task_policy = task_policy
        self.planned_runs: set[str] = set()
        self.store = open_store(settings, MAX_LISTING_AGE_SECONDS)
        self._policy = policy or RetryPolicy()

    @property
    def client(self) -> Client:
        """Return the API client."""
        return self._client

    @property
    def total(self) -> RequestStats:
        """Return counts of all requests sent so far."""
        return self._client.total

    @property
    def throttled_count(self) -> int:
        """Return how many requests the host has rejected so far because of a rate limit."""
        return self._client.backoff.throttled_count

    @property
    def missing_paths(self) -> set[str]:
        """Return the endpoint paths that the host does not offer, except those that pages replace."""
        return self._client.backoff.missing_paths - {endpoint.path for endpoint in REPORT_TASKS}

    @property
    def forbidden_paths(self) -> set[str]:
        """Return the paths of optional endpoints that the token lacks the permission for."""
        return self._client.backoff.forbidden_paths

    def read_identity_status(self, advertiser_id: str, identity: "Identity") -> "IdentityStatus | None":
        """Read what an identity of an account can be used for; None if the account does not have it.

        Raises:
            TikTokError: if the identities cannot be read.
        """
        from tiktok_assets.api import read_identity_status  # noqa: PLC0415 - start-up time

        return read_identity_status(self._client, advertiser_id, identity)

    @property
    def quota_error(self) -> DailyQuotaError | None:
        """Return the error of the used-up daily quota until it is refilled; None while the quota lasts."""
        return self._client.backoff.quota_error

    @cached_property
    def _budget(self) -> RequestBudget:
        settings = self.settings
        return self._open_budget("", settings.requests_per_second, settings.requests_per_minute)

    @cached_property
    def _path_budgets(self) -> PathBudgets:
        return PathBudgets(self._open_path_budget)

    def _open_path_budget(self, path: str) -> RequestBudget | None:
        limits = self.settings.path_limits(path)
        return self._open_budget(path.strip("/").replace("/", "_"), *limits) if limits else None

    def _open_budget(self, path: str, per_second: float, per_minute: int) -> RequestBudget:
        """Open the request budget of the app, or of one of its paths, which all its processes share."""
        settings = self.settings
        if settings.limiter_url:
            from tiktok_assets.api import RedisBudget  # noqa: PLC0415 - an optional extra

            return RedisBudget(
                settings.limiter_url.get_secret_value(),
                f"{settings.base_url} {settings.app_id or ''} {path}".rstrip(),
                per_second,
                per_minute,
                max_cooldown_wait_seconds=self._policy.max_cooldown_wait_seconds,
            )
        file = Path(BUDGET_FILE)
        return SqliteBudget(
            self._create_state_folder() / (f"{file.stem}_{path}{file.suffix}" if path else file),
            per_second,
            per_minute,
            max_cooldown_wait_seconds=self._policy.max_cooldown_wait_seconds,
        )

    @cached_property
    def _client(self) -> Client:
        settings = self.settings
        return Client(
            settings.base_url,
            settings.access_token.get_secret_value() if settings.access_token else None,
            version=settings.api_version,
            budget=self._budget,
            policy=self._policy,
            timeouts=StoredTimeouts(settings.state_database_url, lambda: self.state),
            path_budgets=self._path_budgets,
            transport=self._transport,
        )

    @cached_property
    def state(self) -> "State":
        """Open the state database.

        Raises:
            StateError: if it cannot be opened.
        """
        from tiktok_assets.storage import State  # noqa: PLC0415 - start-up time

        self._create_state_folder()
        return State(self.settings.state_database_url)

    def _create_state_folder(self) -> Path:
        """Create the state folder, accessible to its owner only, and return it.

        Raises:
            StoreError: if it cannot be created.
        """
        try:
            return create_private_folder(self.settings.state_dir)
        except OSError as error:
            raise StoreError(
                f"cannot use {self.settings.state_dir}: {error.strerror or error};"
                " make it writable or point TIKTOK_STATE_DIR elsewhere"
            ) from error

    @cached_property
    def reader(self) -> Reader:
        """Open the reader of entities and reports; its clock is the host's."""
        metrics = metrics_for_version(self.settings.api_version, self.settings.chosen_metrics)
        kinds = TOPVIEW_AND_PROMOTE if self.settings.api_version == "v1.3" else ()
        return Reader(
            Fetcher(self._client), self._client.now, metrics, special_types=kinds, tasks=self._open_tasks()
        )

    def _open_tasks(self) -> TaskReading | None:
        """Return how long histories are read by report tasks; None if the settings or the version exclude them."""
        settings = self.settings
        if settings.report_tasks == "never" or settings.api_version != "v1.3":
            return None
        log = StoredTaskLog(lambda: self.state)
        client = ReportTaskClient(self._client, log, self.task_policy)
        return TaskReading(client, limit_per_second(settings.requests_per_second, settings.requests_per_minute))

    @cached_property
    def advertiser_ids(self) -> list[str]:
        """Return the accounts to read: those of the settings, else those the API lists (one request per session).

        Raises:
            TikTokError: if they must be listed and cannot be.
        """
        return resolve_advertiser_ids(self.reader, self.settings)

    def create_duplicator(
        self, policy: "ExecutionPolicy | None" = None, approval: "Approval | None" = None
    ) -> "Duplicator":
        """Open the duplicator of ads, with the ledger in the state database.

        Args:
            policy: how long it waits and how often it retries; None for the default.
            approval: the approval to start duplications; without one it runs dry runs and resumes started ones.
        """
        from tiktok_assets import duplication  # noqa: PLC0415 - only a duplication loads it

        return duplication.Duplicator(
            self.client,
            self.reader.fetcher,
            duplication.Ledger(self.state),
            self._read_currency,
            self.settings.max_added_budget,
            policy or duplication.ExecutionPolicy(),
            replace(
                approval or duplication.NO_APPROVAL,
                may_enable=self.settings.scaling_enable == "allow",
                may_execute=self.settings.scaling_mode == "execute",
            ),
            duplication.parse_identities(self.settings.scaling_identities),
        )

    def create_undoer(self, policy: "ExecutionPolicy | None" = None) -> "Undoer":
        """Open what undoes duplications of the state database; `policy` as in `create_duplicator`."""
        from tiktok_assets import duplication  # noqa: PLC0415 - only a duplication loads it

        ledger = duplication.Ledger(self.state)
        return duplication.Undoer(
            self.client, self.reader.fetcher, ledger, policy or duplication.ExecutionPolicy()
        )

    def _read_currency(self, advertiser_id: str) -> str:
        (account,) = require_accounts(self.reader, self.store, self.settings, [advertiser_id])
        return account.currency

    def now(self) -> datetime:
        """Return the current UTC time by the host's clock."""
        return self.reader.now()

    def close(self) -> None:
        """Close the connections and threads that were opened."""
        self.store.close()
        if "reader" in self.__dict__:
            self.reader.fetcher.close()
        if "state" in self.__dict__:
            self.state.close()
        if "_client" in self.__dict__:
            self._client.close()
        if "_path_budgets" in self.__dict__:
            self._path_budgets.close()
        if "_budget" in self.__dict__:
            self._budget.close()


def open_store(settings: Settings, max_listing_age: float = 0) -> HiveStore:
    """Open the stored tables; all stores of the same settings in a process see each other's writes at once."""
    cache_folder = settings.state_dir / OBJECT_CACHE_FOLDER
    return HiveStore(settings.data_dir, cache_folder=cache_folder, max_listing_age=max_listing_age)


@contextmanager
def open_session(settings: Settings, *, policy: RetryPolicy | None = None) -> Iterator[Session]:
    """Open a session that is closed at the end of the context."""
    session = Session(settings, policy=policy)
    try:
        yield session
    finally:
        session.close()
