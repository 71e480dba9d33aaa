"""An open connection to the API and the store, built from the settings; knows nothing of Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tiktok_assets.api.client import Client, RequestStats, RetryPolicy
from tiktok_assets.api.errors import DailyQuotaError
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.rate_limit.budget import PathBudgets, RequestBudget, SqliteBudget
from tiktok_assets.file_permissions import create_private_folder
from tiktok_assets.ingest.accounts import require_accounts, resolve_advertiser_ids
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.settings import Settings
from tiktok_assets.spec.api_versions import metrics_for_version
from tiktok_assets.spec.entities import TOPVIEW_AND_PROMOTE
from tiktok_assets.storage.hive_store import HiveStore, StoreError
from tiktok_assets.storage.report_timeouts import StoredTimeouts

if TYPE_CHECKING:
    from tiktok_assets.api.creatives import Identity, IdentityStatus
    from tiktok_assets.duplication.approvals import Approval
    from tiktok_assets.duplication.duplicator import Duplicator
    from tiktok_assets.duplication.executor import ExecutionPolicy
    from tiktok_assets.storage.state import State

BUDGET_FILE = "request_budget.sqlite"


class Session:
    """A connection and a store for as long as one run, or one `sync`, takes. Opens on first use.

    Attributes:
        settings: those it was opened with.
        store: the tables.
        planned_runs: the runs that have said what they will take.
    """

    def __init__(self, settings: Settings, *, policy: RetryPolicy | None = None) -> None:
        self.settings = settings
        self.planned_runs: set[str] = set()
        self.store = HiveStore(settings.data_dir)
        self._policy = policy or RetryPolicy()

    @property
    def client(self) -> Client:
        """The connection itself, for what writes."""
        return self._client

    @property
    def total(self) -> RequestStats:
        """What everything asked so far cost."""
        return self._client.total

    @property
    def refusals(self) -> int:
        """How often the host said so far that we are too fast."""
        return self._client.pace.refusals

    @property
    def not_offered(self) -> set[str]:
        """The paths the host said it does not have."""
        return self._client.pace.not_offered

    def abilities_of(self, advertiser_id: str, identity: "Identity") -> "IdentityStatus | None":
        """Read what an identity of an account can do; None where the account has no such identity.

        Raises:
            TikTokError: if the identities cannot be read.
        """
        from tiktok_assets.api.creatives import read_identity_status  # noqa: PLC0415 - `get` copies nothing

        return read_identity_status(self._client, advertiser_id, identity)

    @property
    def used_up(self) -> DailyQuotaError | None:
        """Tell that the quota of the day is used up, once that was met."""
        return self._client.pace.used_up

    @cached_property
    def _budget(self) -> RequestBudget:
        settings = self.settings
        return self._budget_of("", settings.requests_per_second, settings.requests_per_minute)

    @cached_property
    def _path_budgets(self) -> PathBudgets:
        return PathBudgets(self._budget_of_path)

    def _budget_of_path(self, path: str) -> RequestBudget | None:
        limits = self.settings.limits_of_path(path)
        return self._budget_of(path.strip("/").replace("/", "_"), *limits) if limits else None

    def _budget_of(self, path: str, per_second: float, per_minute: int) -> RequestBudget:
        """Open the budget of the app, or of one path of it, which all its processes share."""
        settings = self.settings
        if settings.limiter_url:
            from tiktok_assets.api.rate_limit.redis_budget import RedisBudget  # noqa: PLC0415 - an optional extra

            return RedisBudget(
                settings.limiter_url.get_secret_value(),
                f"{settings.base_url} {settings.app_id or ''} {path}".rstrip(),
                per_second,
                per_minute,
                patience_seconds=self._policy.patience_seconds,
            )
        file = Path(BUDGET_FILE)
        return SqliteBudget(
            self._state_dir() / (f"{file.stem}_{path}{file.suffix}" if path else file),
            per_second,
            per_minute,
            patience_seconds=self._policy.patience_seconds,
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
            timeouts=StoredTimeouts(settings.state_address, lambda: self.state),
            path_budgets=self._path_budgets,
        )

    @cached_property
    def state(self) -> "State":
        """The transactional state.

        Raises:
            StateError: if it cannot be opened.
        """
        from tiktok_assets.storage.state import State  # noqa: PLC0415 - `get` needs no database

        self._state_dir()
        return State(self.settings.state_address)

    def _state_dir(self) -> Path:
        """The state folder, its owner's alone.

        Raises:
            StoreError: if it cannot be made so.
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
        """What reads; its clock is the host's."""
        metrics = metrics_for_version(self.settings.api_version, self.settings.chosen_metrics)
        kinds = TOPVIEW_AND_PROMOTE if self.settings.api_version == "v1.3" else ()
        return Reader(Fetcher(self._client), self._client.now, metrics, hidden_kinds=kinds)

    @cached_property
    def advertiser_ids(self) -> list[str]:
        """The accounts to read; asked of the API at most once a session, and not if the settings name them.

        Raises:
            TikTokError: if they must be listed and cannot be.
        """
        return resolve_advertiser_ids(self.reader, self.settings)

    def duplicator(
        self, patience: "ExecutionPolicy | None" = None, approval: "Approval | None" = None
    ) -> "Duplicator":
        """What duplicates ads, with the ledger of the state.

        Args:
            patience: how long it waits and how often it tries; None for its defaults.
            approval: what allows it to begin; without one it shows, and finishes what was begun.
        """
        from tiktok_assets.duplication.ad_formats import parse_identities  # noqa: PLC0415
        from tiktok_assets.duplication.approvals import NO_APPROVAL  # noqa: PLC0415 - `get` duplicates nothing
        from tiktok_assets.duplication.duplicator import Duplicator  # noqa: PLC0415
        from tiktok_assets.duplication.executor import ExecutionPolicy  # noqa: PLC0415
        from tiktok_assets.duplication.ledger import Ledger  # noqa: PLC0415

        return Duplicator(
            self.client,
            self.reader.fetcher,
            Ledger(self.state),
            self._currency_of,
            self.settings.max_added_budget,
            patience or ExecutionPolicy(),
            replace(
                approval or NO_APPROVAL,
                may_enable=self.settings.scaling_enable == "allow",
                may_execute=self.settings.scaling_mode == "execute",
            ),
            parse_identities(self.settings.scaling_identities),
        )

    def _currency_of(self, advertiser_id: str) -> str:
        (account,) = require_accounts(self.reader, self.store, self.settings, [advertiser_id])
        return account.currency

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
        if "_path_budgets" in self.__dict__:
            self._path_budgets.close()
        if "_budget" in self.__dict__:
            self._budget.close()


@contextmanager
def open_session(settings: Settings, *, policy: RetryPolicy | None = None) -> Iterator[Session]:
    """A session that is closed afterwards."""
    session = Session(settings, policy=policy)
    try:
        yield session
    finally:
        session.close()
