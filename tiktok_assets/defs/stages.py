"""The refresh as three stages of runs, the same for the schedule, its sensor and `sync`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import dagster as dg

from tiktok_assets.api.plan import Window
from tiktok_assets.days import Account
from tiktok_assets.defs.chunks import Chunk, chunks_of
from tiktok_assets.defs.partitions import ADVERTISERS
from tiktok_assets.refresh.needed import days_to_refresh
from tiktok_assets.refresh.writing import ADVERTISERS_SCHEMA
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_parquet import HiveStore

Stage = Literal["refresh_accounts", "refresh_daily", "refresh_lifetime"]

STAGES: tuple[Stage, ...] = ("refresh_accounts", "refresh_daily", "refresh_lifetime")


def stored_order(instance: dg.DagsterInstance) -> Sequence[str]:
    """Every advertiser key, in the order in which Dagster resolves a range."""
    return instance.get_dynamic_partitions(str(ADVERTISERS.name))


def advertisers_to_refresh(instance: dg.DagsterInstance, store: HiveStore, settings: Settings) -> list[str]:
    """The keys a refresh reads: those the settings name, else all but the accounts that lost their grant."""
    keys = stored_order(instance)
    if settings.advertiser_ids:
        return [key for key in keys if key in set(settings.advertiser_ids)]
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = set(rows.filter(~rows.get_column("is_granted")).get_column("advertiser_id"))
    return [key for key in keys if key not in lost]


def chunks_of_stage(
    stage: Stage, instance: dg.DagsterInstance, store: HiveStore, settings: Settings, now: datetime
) -> list[Chunk]:
    """The runs of one stage, each a range of keys; none where there is nothing to read."""
    wanted = advertisers_to_refresh(instance, store, settings)
    if stage != "refresh_daily":
        return chunks_of(stored_order(instance), dict.fromkeys(wanted))
    told = {
        row["advertiser_id"]: row for row in store.scan("advertisers", ADVERTISERS_SCHEMA).collect().to_dicts()
    }
    windows = {key: _needed(store, settings, key, told.get(key, {}), now) for key in wanted}
    return chunks_of(stored_order(instance), {key: window for key, window in windows.items() if window})


def _needed(
    store: HiveStore, settings: Settings, advertiser_id: str, mine: Mapping[str, Any], now: datetime
) -> Window | None:
    """The days of one account; an account whose zone nobody stored yet is taken to live in UTC."""
    account = Account.told(advertiser_id, mine, settings.account_timezone, settings.account_currency)
    return days_to_refresh(
        store,
        [report.table for report in settings.chosen_reports if report.cadence == "daily"],
        account if account.has_known_zone else Account(advertiser_id, "", "UTC"),
        now,
        start=settings.start_date,
        lookback_days=settings.lookback_days,
        sweep_days=settings.sweep_days,
    )
