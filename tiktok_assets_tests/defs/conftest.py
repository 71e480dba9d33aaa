"""A desk: the definitions over a sandbox, with a store, an instance, and the runs a daemon would launch."""

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
from tiktok_assets.tables.schema import build_schema

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.account_assets import add_advertiser_partitions
from tiktok_assets.defs.checks import select_job_tables
from tiktok_assets.defs.jobs import build_run_requests
from tiktok_assets.defs.partitions import parse_partition_key
from tiktok_assets.defs.refresh_stages import (
    RefreshStage,
    get_advertiser_keys,
    plan_stage_ranges,
    split_into_ranges,
)
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets_tests.api.conftest import FAST, Host

WEDNESDAY = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
"""When the world's clock starts: half past noon, the hour of the morning refresh."""

PLAN = WorldPlan(anchor=WEDNESDAY, dense=True, days=40, advertisers=4, campaigns=1, ad_groups=1, ads=2)
"""Los Angeles, Tokyo and Berlin with two ads each that deliver every day, and one account without campaigns."""

DAILY = ("advertiser_report_daily", "campaign_report_daily", "ad_group_report_daily", "ad_report_daily")
LIFETIME = tuple(table.replace("daily", "lifetime") for table in DAILY)
REPORT_PATH = "report/integrated/get"

Event = tuple[str, Mapping[str, object]]
"""The partition of a materialization, and its metadata as plain values."""


@dataclass(frozen=True)
class Desk:
    """The definitions at work: over one host, with one store and one instance."""

    host: Host
    settings: Settings
    session: Session
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def store(self) -> HiveStore:
        """The tables."""
        return self.session.store

    @property
    def advertiser_ids(self) -> list[str]:
        """The accounts of the world that are granted, as the API lists them now, in our order."""
        advertisers = self.host.sandbox.world.advertisers.values()
        return sorted(one.id for one in advertisers if one.granted)

    @property
    def now(self) -> datetime:
        """The instant in the world."""
        return self.host.sandbox.clock.now()

    def know(self, advertiser_ids: Iterable[str] = ()) -> list[str]:
        """Make these accounts partitions, or all that are granted; returns them in stored order."""
        add_advertiser_partitions(self.instance, list(advertiser_ids) or self.advertiser_ids)
        return list(get_advertiser_keys(self.instance))

    def revoke(self, advertiser_id: str) -> None:
        """Take an account's grant away."""
        self.host.control("POST", "grants", advertiser_id=advertiser_id, granted=False)

    def run(
        self, job: str, tags: Mapping[str, str] | None = None, tables: Iterable[str] = ()
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or these tables of it, as a daemon would; a failure is in the result."""
        return select_job_tables(self.definitions.resolve_job_def(job), tables).execute_in_process(
            instance=self.instance, tags=dict(tags or {}), raise_on_error=False
        )

    def run_range(
        self, job: str, advertiser_ids: Sequence[str], window: DateWindow | None = None, tables: Iterable[str] = ()
    ) -> dg.ExecuteInProcessResult:
        """Run a job over one range of accounts that are neighbours in the stored order."""
        (chunk,) = split_into_ranges(get_advertiser_keys(self.instance), dict.fromkeys(advertiser_ids, window))
        return self.run(job, chunk.tags, tables)

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what a schedule or a sensor asked for, exactly as it asked."""
        assert request.job_name
        tables = [key.path[-1] for key in request.asset_selection or ()]
        assert not request.run_config
        return self.run(request.job_name, request.tags, tables)

    def refresh(self, stage: RefreshStage) -> list[dg.ExecuteInProcessResult]:
        """Run one stage of the refresh at the world's present instant."""
        chunks = plan_stage_ranges(stage, self.instance, self.store, self.settings, self.now)
        return [self.launch(request) for request in build_run_requests(stage, self.now.isoformat(), chunks)]

    def report_requests(self) -> list[dict[str, Any]]:
        """The reports asked of the host since it was last told to behave."""
        return [one for one in self.host.requests if one["path"].strip("/") == REPORT_PATH]

    def table(self, name: str) -> pl.DataFrame:
        """The stored rows of a table."""
        return self.store.scan(name, build_schema(get_stored_tables(self.settings)[name])).collect()

    def keys(self, table: str) -> list[str]:
        """The partitions that stand, as keys."""
        partitions = self.store.partitions(table)
        return [f"{one.advertiser_id}|{one.day}" if one.day else str(one.advertiser_id) for one in partitions]

    def bytes_of(self, table: str, key: str = "") -> bytes:
        """The file of one partition."""
        folder = parse_partition_key(key).folder if key else "."
        return Path(str(self.store.base), table, folder, PARTITION_FILE_NAME).read_bytes()

    def recorded(self, table: str) -> list[Event]:
        """Every materialization the instance holds of a table, newest first."""
        found = self.instance.fetch_materializations(dg.AssetKey(table), limit=1000)
        assert not found.has_more
        events = [record.asset_materialization for record in found.records]
        return [
            (event.partition or "", {name: value.value for name, value in event.metadata.items()})
            for event in events
            if event
        ]


def keys_of(advertiser_ids: Iterable[str], window: DateWindow) -> list[str]:
    """The keys of a range, in the order of the store."""
    return [f"{owner}|{day}" for owner in sorted(advertiser_ids) for day in window.days]


def failure_in(result: dg.ExecuteInProcessResult, table: str) -> str:
    """What a failed step says, in its own words."""
    (event,) = [one for one in result.all_events if one.is_step_failure and one.step_key == table]
    told = event.step_failure_data.user_failure_data
    assert told
    return str(told.description)


def true_spend(desk: Desk, level: str, advertiser_id: str, day: date) -> tuple[int, Decimal]:
    """Rows and spend of one account's day, by the world's own truth."""
    facts = desk.host.truth(
        "report", level=level, advertiser_id=advertiser_id, start_date=str(day), end_date=str(day)
    )
    return len(facts), sum((Decimal(fact["metrics"]["spend"]) for fact in facts), Decimal(0))


@contextmanager
def desk_at(
    host: Host,
    folder: Path,
    instance: dg.DagsterInstance | None = None,
    **overrides: Any,  # noqa: ANN401 - settings of any kind
) -> Iterator[Desk]:
    """A desk whose tables lie in a folder; its instance is in memory unless one is given."""
    wanted = {
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
    settings = load_settings(**{**wanted, **overrides})
    with ExitStack() as stack:
        session = stack.enter_context(closing(Session(settings, policy=FAST)))
        kept = instance or stack.enter_context(dg.DagsterInstance.ephemeral())
        yield Desk(host, settings, session, build_definitions(settings, session=session), kept)


@pytest.fixture(scope="session")
def agency_host() -> Iterator[Host]:
    """The small agency of `PLAN`, over real HTTP."""
    with Host.run(PLAN) as host:
        yield host


@pytest.fixture
def host(agency_host: Host) -> Iterator[Host]:
    """The small agency, well-behaved before and after."""
    agency_host.behave()
    yield agency_host
    agency_host.behave()


@pytest.fixture
def desk(host: Host, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose instance is in memory."""
    with desk_at(host, tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance nobody used yet; making one takes a second, copying it nothing."""
    home = tmp_path_factory.mktemp("instance")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert get_advertiser_keys(instance) == []
        assert instance.get_runs() == []
    return home


@pytest.fixture
def lasting(fresh_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk, as the daemon has it."""
    home = tmp_path / "home"
    shutil.copytree(fresh_home, home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def lasting_desk(host: Host, tmp_path: Path, lasting: dg.DagsterInstance) -> Iterator[Desk]:
    """A desk whose instance is on disk."""
    with desk_at(host, tmp_path, lasting) as one:
        yield one


DeskMaker = Callable[..., Desk]


@pytest.fixture
def make_desk(host: Host, tmp_path: Path) -> Iterator[DeskMaker]:
    """Opens desks with settings of their own."""
    with ExitStack() as stack:
        yield lambda instance=None, **overrides: stack.enter_context(
            desk_at(host, tmp_path, instance, **overrides)
        )
