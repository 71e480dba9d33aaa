"""Fixtures: the definitions over a sandbox, with a store and an instance, and the runs a daemon would launch."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.account_assets import add_advertiser_partitions
from tiktok_assets.defs.checks import select_job_tables
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import parse_partition_key
from tiktok_assets.defs.refresh_stages import (
    RefreshStage,
    get_advertiser_keys,
    plan_stage_ranges,
    split_into_ranges,
)
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.instance.event_log import EventLog
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.api.conftest import FAST, Host

WEDNESDAY = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
"""The start of the sandbox's clock: 12:30 UTC, the time of the daily refresh."""

PLAN = WorldPlan(anchor=WEDNESDAY, dense=True, days=40, advertisers=4, campaigns=1, ad_groups=1, ads=2)
"""Accounts in Los Angeles, Tokyo and Berlin with two ads each that deliver daily, and one without campaigns."""

DAILY = ("advertiser_report_daily", "campaign_report_daily", "ad_group_report_daily", "ad_report_daily")
LIFETIME = tuple(table.replace("daily", "lifetime") for table in DAILY)
REPORT_PATH = "report/integrated/get"

Event = tuple[str, Mapping[str, object]]
"""The partition of a materialization, and its metadata as plain values."""


@dataclass(frozen=True)
class Deployment:
    """The definitions over one sandbox host, with one store and one Dagster instance."""

    host: Host
    settings: Settings
    session: Session
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def store(self) -> HiveStore:
        """The store of the session."""
        return self.session.store

    @property
    def advertiser_ids(self) -> list[str]:
        """The sorted ids of the granted accounts."""
        advertisers = self.host.sandbox.world.advertisers.values()
        return sorted(one.id for one in advertisers if one.granted)

    @property
    def now(self) -> datetime:
        """The current time of the sandbox."""
        return self.host.sandbox.clock.now()

    def add_partitions(self, advertiser_ids: Iterable[str] = ()) -> list[str]:
        """Add partitions for these accounts, or for all granted ones, and return all keys in stored order."""
        add_advertiser_partitions(self.instance, list(advertiser_ids) or self.advertiser_ids, self.settings)
        return list(get_advertiser_keys(self.instance, self.settings))

    def revoke(self, advertiser_id: str) -> None:
        """Revoke the grant of an account."""
        self.host.control("POST", "grants", advertiser_id=advertiser_id, granted=False)

    def run(
        self,
        job: str,
        tags: Mapping[str, str] | None = None,
        tables: Iterable[str] = (),
        run_config: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or these tables of it, as a daemon would; a failure is returned in the result."""
        return select_job_tables(
            self.definitions.resolve_job_def(Names(self.settings).name(job)), self.settings, tables
        ).execute_in_process(
            instance=self.instance, tags=dict(tags or {}), run_config=run_config, raise_on_error=False
        )

    def run_range(
        self, job: str, advertiser_ids: Sequence[str], window: DateWindow | None = None, tables: Iterable[str] = ()
    ) -> dg.ExecuteInProcessResult:
        """Run a job over one range of accounts that are adjacent in the stored order."""
        (partition_range,) = split_into_ranges(
            get_advertiser_keys(self.instance, self.settings), dict.fromkeys(advertiser_ids, window)
        )
        return self.run(job, partition_range.tags, tables)

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run the request of a schedule or a sensor, exactly as requested."""
        assert request.job_name
        names = Names(self.settings)
        tables = sorted(names.tables(request.asset_selection or ()))
        assert not request.run_config
        return self.run(request.job_name.removeprefix(names.name("")), request.tags, tables)

    def refresh(self, stage: RefreshStage) -> list[dg.ExecuteInProcessResult]:
        """Run one stage of the refresh at the current time of the sandbox."""
        ranges = plan_stage_ranges(stage, self.instance, self.store, self.settings, self.now)
        return [
            self.launch(request)
            for request in build_run_requests(self.settings, stage, self.now.isoformat(), ranges)
        ]

    def report_requests(self) -> list[dict[str, Any]]:
        """Return the report requests the host received since its last reset."""
        return [one for one in self.host.requests if one["path"].strip("/") == REPORT_PATH]

    def read_table(self, name: str) -> pl.DataFrame:
        """Read the stored rows of a table."""
        return self.store.scan(name, build_schema(get_stored_tables(self.settings)[name])).collect()

    def stored_keys(self, table: str) -> list[str]:
        """Return the partition keys of the stored partitions of a table."""
        partitions = self.store.partitions(table)
        return [f"{one.advertiser_id}|{one.day}" if one.day else str(one.advertiser_id) for one in partitions]

    def read_bytes(self, table: str, key: str = "") -> bytes:
        """Read the file of one partition."""
        folder = parse_partition_key(key).folder if key else "."
        return Path(str(self.store.base), table, folder, PARTITION_FILE_NAME).read_bytes()

    def materializations(self, table: str) -> list[Event]:
        """Return every recorded materialization of a table, newest first."""
        found = self.instance.fetch_materializations(dg.AssetKey(table), limit=1000)
        assert not found.has_more
        events = [record.asset_materialization for record in found.records]
        return [
            (event.partition or "", {name: value.value for name, value in event.metadata.items()})
            for event in events
            if event
        ]


def format_keys(advertiser_ids: Iterable[str], window: DateWindow) -> list[str]:
    """Return the keys of a range, in the order of the store."""
    return [f"{owner}|{day}" for owner in sorted(advertiser_ids) for day in window.days]


def get_failure(result: dg.ExecuteInProcessResult, table: str) -> str:
    """Return the error message of a failed step."""
    (event,) = [one for one in result.all_events if one.is_step_failure and one.step_key == table]
    failure_data = event.step_failure_data.user_failure_data
    assert failure_data
    return str(failure_data.description)


def get_true_spend(deployment: Deployment, level: str, advertiser_id: str, day: date) -> tuple[int, Decimal]:
    """Return rows and spend of one account's day from the sandbox's ground truth."""
    rows = deployment.host.ground_truth(
        "report", level=level, advertiser_id=advertiser_id, start_date=str(day), end_date=str(day)
    )
    return len(rows), sum((Decimal(row["metrics"]["spend"]) for row in rows), Decimal(0))


@contextmanager
def open_deployment(
    host: Host,
    folder: Path,
    instance: dg.DagsterInstance | None = None,
    **overrides: Any,  # noqa: ANN401 - settings of any kind
) -> Iterator[Deployment]:
    """Open a deployment whose tables are in a folder; its instance is in memory unless one is given."""
    defaults = {
        "base_url": host.sandbox.base_url,
        "access_token": host.sandbox.token,
        "app_id": host.sandbox.app_id,
        "app_secret": host.sandbox.secret,
        "start_date": "2026-10-01",
        "lookback_days": 2,
        "qps": 1000,
        "data_dir": str(folder / "data"),
        "state_dir": folder / "state",
    }
    settings = load_settings(**{**defaults, **overrides})
    with ExitStack() as stack:
        session = stack.enter_context(closing(Session(settings, policy=FAST)))
        used_instance = instance or stack.enter_context(dg.DagsterInstance.ephemeral())
        yield Deployment(host, settings, session, build_definitions(settings, session=session), used_instance)


@pytest.fixture(scope="session")
def agency_host() -> Iterator[Host]:
    """Run the small agency of `PLAN` over real HTTP."""
    with Host.run(PLAN) as host:
        yield host


@pytest.fixture
def host(agency_host: Host) -> Iterator[Host]:
    """Return the small agency, reset before and after the test."""
    agency_host.reset()
    yield agency_host
    agency_host.reset()


@pytest.fixture
def deployment(host: Host, tmp_path: Path) -> Iterator[Deployment]:
    """Open a deployment whose instance is in memory."""
    with open_deployment(host, tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create the folder of an unused instance once; copying it is faster than creating another."""
    home = tmp_path_factory.mktemp("instance")
    write_instance_config(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert get_advertiser_keys(instance, load_settings()) == []
        assert instance.get_runs() == []
    return home


def write_instance_config(home: Path) -> None:
    """Write a `dagster.yaml` with the event log of this package, whose events cost a quarter of Dagster's."""
    log = {
        "module": EventLog.__module__,
        "class": EventLog.__name__,
        "config": {"base_dir": str(home / "history" / "runs")},
    }
    (home / "dagster.yaml").write_text(json.dumps({"telemetry": {"enabled": False}, "event_log_storage": log}))


def copy_instance(fresh_home: Path, home: Path) -> None:
    """Copy the folder of an unused instance."""
    shutil.copytree(fresh_home, home)
    write_instance_config(home)


@pytest.fixture
def disk_instance(fresh_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Open an instance on disk, as the daemon uses it."""
    home = tmp_path / "home"
    copy_instance(fresh_home, home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def disk_deployment(host: Host, tmp_path: Path, disk_instance: dg.DagsterInstance) -> Iterator[Deployment]:
    """Open a deployment whose instance is on disk."""
    with open_deployment(host, tmp_path, disk_instance) as one:
        yield one


DeploymentFactory = Callable[..., Deployment]


@pytest.fixture
def make_deployment(host: Host, tmp_path: Path) -> Iterator[DeploymentFactory]:
    """Return a factory of deployments with their own settings."""
    with ExitStack() as stack:
        yield lambda instance=None, **overrides: stack.enter_context(
            open_deployment(host, tmp_path, instance, **overrides)
        )
