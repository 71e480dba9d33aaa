"""What an agency's machine does in a day, with the product's own functions and without Dagster around them."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy.exc import SQLAlchemyError

from tiktok_assets.alerts import ALERTS_FOLDER, deliver, list_channels
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.defs.derived_assets import read_recent_days
from tiktok_assets.defs.report_assets import read_report_partitions
from tiktok_assets.defs.scaling_sensors import find_unfinished_requests
from tiktok_assets.duplication import (
    BY_CODE,
    BY_TERMINAL,
    STARTED,
    Approval,
    DuplicationRequest,
    ExecutionPolicy,
    LeaseError,
    Ledger,
    NotApprovedError,
    RefusedError,
    UnfinishedError,
)
from tiktok_assets.ingest import (
    FailedPartitions,
    find_missing_days,
    load_accounts,
    refresh_advertisers,
    refresh_entity,
    refresh_restatements,
    select_refresh_window,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec import report_columns
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage import Partition, StoreError
from tiktok_assets.tables import report_schema
from tiktok_assets.top_spenders import assess_ads, record_flag
from tiktok_assets.top_spenders.creatives import add_creatives
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets.top_spenders.ranking import rank_top_spenders
from tiktok_assets.top_spenders.stored_rows import read_account_tables
from tiktok_assets_tests.simulation.network import HOST, Network, SandboxTransport
from tiktok_assets_tests.simulation.receivers import URLS, SimulatedSender

DAILY = ("campaign_report_daily", "ad_report_daily")
LIFETIME = ("campaign_report_lifetime", "ad_report_lifetime")
METRICS = "spend,impressions,clicks,conversion"
DUPLICATION_ERRORS = (RefusedError, UnfinishedError, LeaseError, NotApprovedError, TikTokError)
REFRESH_ERRORS = (TikTokError, StoreError, OSError)


@dataclass
class Agency:
    """An installation: its settings, its network, and what it could not do.

    Attributes:
        folder: of data and state.
        network: to the host.
        settings: as loaded.
        failures: number of failed partitions.
    """

    folder: Path
    network: Network
    settings: Settings
    failures: int = 0
    refusals: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        folder: Path,
        network: Network,
        *,
        targets: Mapping[str, str],
        start: date,
        max_added_budget: Decimal | None,
        token: str | None = None,
        host: str = HOST,
    ) -> "Agency":
        """Open the installation of a folder."""
        world = network.state.world
        settings = load_settings(
            access_token=token or world.token,
            app_id=world.app_id,
            app_secret=world.secret,
            base_url=host,
            data_dir=f"{folder}/data",
            state_dir=f"{folder}/state",
            start_date=start,
            lookback_days=2,
            qps=1000,
            reports=",".join((*DAILY, *LIFETIME)),
            metrics=METRICS,
            alert_urls=",".join(URLS),
            scaling_mode="propose",
            scaling_campaigns=",".join(f"{owner}:{campaign}" for owner, campaign in targets.items()),
            min_spend=Decimal(1),
            min_lead=Decimal(0),
            flag_cooldown_days=0,
            flags_per_day=100,
            max_added_budget=max_added_budget,
        )
        return cls(folder, network, settings)

    def session(self) -> "closing[Session]":
        """Open a session over the simulated network."""
        return closing(Session(self.settings, transport=SandboxTransport(self.network)))

    def refresh(self, *, fills_gaps: bool = False) -> bool:
        """Run a morning refresh with ranking, flags and delivery, and return whether all of it succeeded.

        Args:
            fills_gaps: also read every day that was never read, as `backfill_history` does.
        """
        before = self.failures
        with self.session() as session:
            refresh = partial(self._refresh_tables, fills_gaps=fills_gaps)
            for work in (refresh, self.deliver):
                try:
                    work(session)
                except REFRESH_ERRORS as error:
                    self.failures += 1
                    self.refusals.append(f"{type(error).__name__}: {error}")
                except SQLAlchemyError as error:
                    if "disk is full" not in str(error):
                        raise
                    self.failures += 1
        return self.failures == before

    def _refresh_tables(self, session: Session, *, fills_gaps: bool) -> None:
        session.store.check_writable()
        ids = session.advertiser_ids
        _, result = refresh_advertisers(session.reader, session.store, ids)
        self.failures += len(result.refused)
        for entity in CAMPAIGN_ENTITIES:
            self._count(refresh_entity(session.reader, session.store, entity, ids))
        self._refresh_days(session, ids, fills_gaps=fills_gaps)
        for table in LIFETIME:
            partitions = [Partition(owner) for owner in ids]
            self._count(read_report_partitions(session, REPORTS_BY_TABLE[table], partitions))
        self.rank(session, ids)
        self.flag(session)

    def _count(self, outcomes: Any) -> None:  # noqa: ANN401 - any iterable of outcomes
        failed = [one for one in outcomes if isinstance(one, FailedPartitions)]
        self.failures += sum(len(one.partitions) for one in failed)
        self.refusals += [str(one) for one in failed]

    def _refresh_days(self, session: Session, ids: Sequence[str], *, fills_gaps: bool) -> None:
        settings, store = self.settings, session.store
        accounts, refused = load_accounts(session.reader, store, settings, ids)
        self.failures += len(refused)
        windows = [
            select_refresh_window(
                store,
                DAILY,
                account,
                session.now(),
                start=settings.start_date,
                lookback_days=settings.lookback_days,
                sweep_days=settings.sweep_days,
            )
            for account in accounts
        ]
        for table in DAILY:
            partitions = list[Partition]()
            for account, window in zip(accounts, windows, strict=True):
                days = set(window.days if window else ())
                if fills_gaps:
                    days |= set(find_missing_days(store, table, account, session.now(), start=settings.start_date))
                partitions += [Partition(account.advertiser_id, day) for day in sorted(days)]
            self._count(read_report_partitions(session, REPORTS_BY_TABLE[table], partitions))
        if fills_gaps:
            list(refresh_restatements(store, DAILY, partitions))

    def rank(self, session: Session, ids: Sequence[str]) -> None:
        """Rank the top spenders, as the asset `top_spenders` does."""
        reports = {table: REPORTS_BY_TABLE[table] for table in (*LIFETIME, "ad_report_daily")}
        metrics = self.settings.chosen_metrics
        ads, campaigns = (
            session.store.scan(table, report_schema(reports[table], metrics), advertiser_ids=ids).collect()
            for table in ("ad_report_lifetime", "campaign_report_lifetime")
        )
        newest = ads.get_column("fetched_at").max()
        columns = report_columns(reports["ad_report_daily"], metrics)
        recent = read_recent_days(session.store, columns, ids, newest or session.now())  # type: ignore[arg-type] # polars' maximum
        ranked = rank_top_spenders(ads, campaigns, recent)
        described = add_creatives(ranked, ads, read_account_tables(session.store, ranked))
        leaders = record_leader_changes(session.state, described)
        for owner in ids:
            own = leaders.filter(pl.col("advertiser_id") == owner)
            session.store.write("top_spenders", Partition(owner), own)

    def flag(self, session: Session) -> None:
        """Flag what the sensor would flag."""
        for assessment in assess_ads(session.state, session.store, self.settings, session.now()):
            if not assessment.holds:
                record_flag(session.state, session.store, self.settings, assessment.ad_key, session.now())

    def deliver(self, session: Session) -> None:
        """Deliver due alerts, as the sensor does."""
        folder = self.settings.state_dir / ALERTS_FOLDER
        deliver(session.state, list_channels(self.settings), folder, open_sender=SimulatedSender)

    def deliver_alone(self) -> None:
        """Deliver due alerts in a process of its own."""
        with self.session() as session:
            self.deliver(session)

    def duplicate(self, request: DuplicationRequest, code: str = "") -> None:
        """Duplicate an ad with the code of an alert, or as a person who confirms it on a terminal."""
        with self.session() as session:
            approval = Approval("ann", BY_CODE, code) if code else Approval("ann", BY_TERMINAL)
            try:
                session.create_duplicator(approval=approval).duplicate(request)
            except DUPLICATION_ERRORS as error:
                self.refusals.append(f"{type(error).__name__}: {error}")

    def finish_duplications(self) -> None:
        """Finish what was started, as the sensor's runs do."""
        with self.session() as session:
            for request in list(find_unfinished_requests(session.state)):
                try:
                    session.create_duplicator().duplicate(request)
                except DUPLICATION_ERRORS as error:
                    self.refusals.append(f"{type(error).__name__}: {error}")

    def finish_all(self, lease_wait_seconds: float) -> None:
        """Continue every unfinished duplication, also those that another process seems to work on."""
        policy = ExecutionPolicy(lease_wait_seconds=lease_wait_seconds)
        with self.session() as session:
            for entry in Ledger(session.state).entries(status=STARTED):
                try:
                    session.create_duplicator(policy).duplicate(entry.request)
                except DUPLICATION_ERRORS as error:
                    self.refusals.append(f"{type(error).__name__}: {error}")

    def undo(self, key: str) -> None:
        """Undo a duplication."""
        with self.session() as session:
            try:
                session.create_undoer().undo(key, "ann")
            except DUPLICATION_ERRORS as error:
                self.refusals.append(f"{type(error).__name__}: {error}")


def first_start(today: date) -> date:
    """Return the first day of the daily tables for an installation of today."""
    return today - timedelta(33)
