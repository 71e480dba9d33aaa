"""An account with made-up lifetime reports, in a state database and a store as a refresh leaves them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.state import State, flags, outbox, top_spender_changes
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets.top_spenders.creatives import add_creatives
from tiktok_assets.top_spenders.flags import Assessment, assess_ads, record_flag
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets.top_spenders.ranking import rank_top_spenders
from tiktok_assets.top_spenders.stored_rows import AdKey, read_account_tables

OWNER, CAMPAIGN = "7001", "1680000000000001"
START = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
AD_REPORT = report_schema(REPORTS_BY_TABLE["ad_report_lifetime"], STANDARD_METRICS)
CAMPAIGN_REPORT = report_schema(REPORTS_BY_TABLE["campaign_report_lifetime"], STANDARD_METRICS)

Spends = Mapping[str, int | str]
"""Lifetime spend by ad id; the ids are single letters."""


def build_ad_row(ad_id: str, campaign: str = CAMPAIGN) -> dict[str, Any]:
    """Build the row of an ad that delivers and can be copied."""
    return {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "ad_group_id": f"group-{ad_id}",
        "ad_id": ad_id,
        "ad_name": f"Ad {ad_id}",
        "operation_status": "ENABLE",
        "secondary_status": "AD_STATUS_DELIVERY_OK",
        "campaign_automation_type": "MANUAL",
    }


def build_ad_group_row(ad_id: str, campaign: str = CAMPAIGN) -> dict[str, Any]:
    """Build the row of its ad group."""
    return {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "ad_group_id": f"group-{ad_id}",
        "operation_status": "ENABLE",
        "secondary_status": "ADGROUP_STATUS_DELIVERY_OK",
        "creative_material_mode": "CUSTOM",
    }


def build_campaign_row(campaign: str = CAMPAIGN) -> dict[str, Any]:
    """Build the row of its campaign."""
    return {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "operation_status": "ENABLE",
        "secondary_status": "CAMPAIGN_STATUS_ENABLE",
        "campaign_automation_type": "MANUAL",
    }


def build_ranking(
    spends: Spends, at: datetime, campaign: str = CAMPAIGN, store: HiveStore | None = None
) -> pl.DataFrame:
    """Rank a lifetime report that was read at an instant, with the creatives of the account tables in a store."""
    ads = [
        {
            **build_ad_row(ad_id, campaign),
            "campaign_name": "Testing",
            "currency": "EUR",
            "spend": Decimal(spend),
            "fetched_at": at,
        }
        for ad_id, spend in spends.items()
    ]
    total = {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "spend": sum(map(Decimal, spends.values()), Decimal(0)),
    }
    names = [name for name in AD_REPORT if name in ads[0]] if ads else []
    report = [{name: row[name] for name in names} for row in ads]
    ad_lifetime = pl.DataFrame(report, AD_REPORT)
    leaders = rank_top_spenders(ad_lifetime, pl.DataFrame([total], CAMPAIGN_REPORT))
    return add_creatives(leaders, ad_lifetime, read_account_tables(store, leaders)) if store else leaders


def count_rows(state: State, table: sa.Table) -> int:
    """Count the rows of a table of the state database."""
    with state.transaction() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@dataclass
class Account:
    """An account whose reports are read one after the other, an hour apart."""

    state: State
    store: HiveStore
    settings: Settings
    now: datetime = START

    def write_table(self, entity: Entity, *rows: Mapping[str, Any]) -> None:
        """Replace an account table."""
        frame = pl.DataFrame(list(rows), build_schema(entity_columns(entity)))
        self.store.write(entity.table, Partition(None if entity is ADVERTISERS else OWNER), frame)

    def write_ads(self, ads: str, *campaigns: str) -> None:
        """Write delivering ads with these one-letter ids in each of these campaigns."""
        within = campaigns or (CAMPAIGN,)
        self.write_table(ADS, *(build_ad_row(ad_id, one) for one in within for ad_id in ads))
        self.write_table(AD_GROUPS, *(build_ad_group_row(ad_id, one) for one in within for ad_id in ads))
        self.write_table(CAMPAIGNS, *map(build_campaign_row, within))

    def read_reports(self, *reports: Spends, at: datetime | None = None) -> None:
        """Read lifetime reports, one per campaign, rank them, and record leader changes."""
        self.now = self.now + timedelta(hours=1) if at is None else at
        leaders = pl.concat(
            [
                build_ranking(spends, self.now, str(int(CAMPAIGN) + number), self.store)
                for number, spends in enumerate(reports)
            ]
        )
        self.store.write("top_spenders", Partition(OWNER), record_leader_changes(self.state, leaders))

    def list_holds(self) -> dict[AdKey, list[str]]:
        """List the names of the guardrails that hold back each candidate."""
        return {one.ad_key: [hold.guardrail for hold in one.holds] for one in self.assess()}

    def assess(self) -> list[Assessment]:
        """Assess every ad that took the lead and was not flagged."""
        return assess_ads(self.state, self.store, self.settings, self.now)

    def flag(self, ad_id: str, campaign: str = CAMPAIGN) -> Assessment:
        """Flag an ad."""
        return record_flag(self.state, self.store, self.settings, (OWNER, campaign, ad_id), self.now)

    def flag_all(self) -> list[str]:
        """Flag every ad without a hold, like the sensor and its runs; return the flagged ads."""
        due = [one for one in self.assess() if not one.holds]
        return [one.ad_key[2] for one in due if not self.flag(one.ad_key[2], one.ad_key[1]).holds]

    @property
    def changes(self) -> list[tuple[str, str | None]]:
        """The leaders with the previous leaders, oldest first."""
        c = top_spender_changes.c
        with self.state.transaction() as connection:
            rows = connection.execute(sa.select(c.ad_id, c.previous_ad_id).order_by(c.observed_at, c.campaign_id))
            return [(row[0], row[1]) for row in rows]

    @property
    def flagged(self) -> list[str]:
        """The flagged ads, oldest first."""
        with self.state.transaction() as connection:
            return list(connection.scalars(sa.select(flags.c.ad_id).order_by(flags.c.flagged_at)))

    @property
    def outbox_rows(self) -> int:
        """The number of rows in the outbox."""
        return count_rows(self.state, outbox)


@contextmanager
def open_account(folder: Path, *, in_memory: bool = False, **overrides: object) -> Iterator[Account]:
    """Open an account with a state database of its own, no channels, and guardrails that hold no new leader back.

    Args:
        folder: for tables and state.
        in_memory: keep the state in memory: fast, and for this thread only.
        **overrides: settings.
    """
    permissive = {"min_spend": 0, "min_lead": 0, "flag_cooldown_days": 0, "flags_per_day": 1000}
    values = {"data_dir": str(folder / "data"), "state_dir": folder / "state", **permissive, **overrides}
    settings = load_settings(**values)
    state = State("sqlite://" if in_memory else settings.state_database_url)
    try:
        yield Account(state, HiveStore(settings.data_dir), settings)
    finally:
        state.close()
