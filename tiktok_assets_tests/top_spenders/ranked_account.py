"""An account whose lifetime reports we make up: who leads, in a state and a store as a refresh leaves them."""

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
from tiktok_assets.spec.metrics import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.storage.state import State, flags, outbox, top_spender_changes
from tiktok_assets.tables.frames import build_schema, entity_columns, report_schema
from tiktok_assets.top_spenders.flags import AdKey, Assessment, assess_ads, record_flag
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets.top_spenders.ranking import rank_top_spenders

OWNER, CAMPAIGN = "7001", "1680000000000001"
MORNING = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
AD_REPORT = report_schema(REPORTS_BY_TABLE["ad_report_lifetime"], STANDARD_METRICS)
CAMPAIGN_REPORT = report_schema(REPORTS_BY_TABLE["campaign_report_lifetime"], STANDARD_METRICS)

Spends = Mapping[str, int | str]
"""Lifetime spend of each ad, whose ids are single letters."""


def build_ad_row(ad_id: str, campaign: str = CAMPAIGN) -> dict[str, Any]:
    """An ad that delivers and can be copied."""
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
    """Its ad group."""
    return {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "ad_group_id": f"group-{ad_id}",
        "operation_status": "ENABLE",
        "secondary_status": "ADGROUP_STATUS_DELIVERY_OK",
        "creative_material_mode": "CUSTOM",
    }


def build_campaign_row(campaign: str = CAMPAIGN) -> dict[str, Any]:
    """Its campaign."""
    return {
        "advertiser_id": OWNER,
        "campaign_id": campaign,
        "operation_status": "ENABLE",
        "secondary_status": "CAMPAIGN_STATUS_ENABLE",
        "campaign_automation_type": "MANUAL",
    }


def build_ranking(spends: Spends, at: datetime, campaign: str = CAMPAIGN) -> pl.DataFrame:
    """The ranking of a lifetime report read at an instant."""
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
    return rank_top_spenders(pl.DataFrame(report, AD_REPORT), pl.DataFrame([total], CAMPAIGN_REPORT))


def count_rows(state: State, table: sa.Table) -> int:
    """The rows of a table of the state."""
    with state.transaction() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@dataclass
class Account:
    """The account, refreshed look by look; an hour passes between two looks."""

    state: State
    store: HiveStore
    settings: Settings
    now: datetime = MORNING

    def put(self, entity: Entity, *rows: Mapping[str, Any]) -> None:
        """Replace an account table."""
        frame = pl.DataFrame(list(rows), build_schema(entity_columns(entity)))
        self.store.write(entity.table, Partition(None if entity is ADVERTISERS else OWNER), frame)

    def has(self, ads: str, *campaigns: str) -> None:
        """Ads of these one-letter ids, which deliver, in each of these campaigns."""
        within = campaigns or (CAMPAIGN,)
        self.put(ADS, *(build_ad_row(ad_id, one) for one in within for ad_id in ads))
        self.put(AD_GROUPS, *(build_ad_group_row(ad_id, one) for one in within for ad_id in ads))
        self.put(CAMPAIGNS, *map(build_campaign_row, within))

    def look(self, *reports: Spends, at: datetime | None = None) -> None:
        """Read lifetime reports, one a campaign, rank them, and note whose leader changed."""
        self.now = self.now + timedelta(hours=1) if at is None else at
        leaders = pl.concat(
            [build_ranking(spends, self.now, str(int(CAMPAIGN) + number)) for number, spends in enumerate(reports)]
        )
        self.store.write("top_spenders", Partition(OWNER), record_leader_changes(self.state, leaders))

    def assessed(self) -> dict[AdKey, list[str]]:
        """The names of the guardrails that hold back each candidate; none if it is due."""
        return {one.pair: [hold.guardrail for hold in one.holds] for one in self.assess()}

    def assess(self) -> list[Assessment]:
        """Everyone who began to lead and was not flagged."""
        return assess_ads(self.state, self.store, self.settings, self.now)

    def flag(self, ad_id: str, campaign: str = CAMPAIGN) -> Assessment:
        """Flag an ad."""
        return record_flag(self.state, self.store, self.settings, (OWNER, campaign, ad_id), self.now)

    def flag_all(self) -> list[str]:
        """What the sensor and its runs do: flag whoever is due; returns the ads flagged."""
        due = [one for one in self.assess() if not one.holds]
        return [one.pair[2] for one in due if not self.flag(one.pair[2], one.pair[1]).holds]

    @property
    def changes(self) -> list[tuple[str, str | None]]:
        """Who began to lead and who had led, oldest first."""
        c = top_spender_changes.c
        with self.state.transaction() as connection:
            rows = connection.execute(sa.select(c.ad_id, c.previous_ad_id).order_by(c.observed_at, c.campaign_id))
            return [(row[0], row[1]) for row in rows]

    @property
    def flagged(self) -> list[str]:
        """The ads flagged, oldest first."""
        with self.state.transaction() as connection:
            return list(connection.scalars(sa.select(flags.c.ad_id).order_by(flags.c.flagged_at)))

    @property
    def alerts(self) -> int:
        """The rows of the outbox."""
        return count_rows(self.state, outbox)


@contextmanager
def open_account(folder: Path, *, in_memory: bool = False, **overrides: object) -> Iterator[Account]:
    """An account with a state of its own, no receivers, and guardrails that let every new leader through.

    Args:
        folder: for tables and state.
        in_memory: keep the state in memory: fast, and of this thread only.
        **overrides: settings.
    """
    open_to_all = {"min_spend": 0, "min_lead": 0, "flag_cooldown_days": 0, "flags_per_day": 1000}
    wanted = {"data_dir": str(folder / "data"), "state_dir": folder / "state", **open_to_all, **overrides}
    settings = load_settings(**wanted)
    state = State("sqlite://" if in_memory else settings.state_address)
    try:
        yield Account(state, HiveStore(settings.data_dir), settings)
    finally:
        state.close()
