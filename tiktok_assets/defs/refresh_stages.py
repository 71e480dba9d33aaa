"""Split a refresh into three stages of range runs, the same for the schedule, the sensor and `sync`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import dagster as dg

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import ADVERTISERS, format_intended_partitions, format_partition_key
from tiktok_assets.defs.runs import INTENDED_PARTITIONS_TAG
from tiktok_assets.ingest.lookback import select_refresh_window
from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA
from tiktok_assets.settings import Settings
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account

MAX_ADVERTISERS_PER_RUN = 25
"""A run costs seconds before it does anything, so one reads many accounts; 25 keep a retry small."""

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """Neighbouring advertisers, and the days they share, that one run reads."""

    advertiser_ids: tuple[str, ...]
    window: DateWindow | None

    @property
    def tags(self) -> Mapping[str, str]:
        """The range for Dagster, and what it is meant to hold."""
        first, last = self.advertiser_ids[0], self.advertiser_ids[-1]
        days = self.window.days if self.window else ()
        return {
            RANGE_START_TAG: format_partition_key(Partition(first, days[0] if days else None)),
            RANGE_END_TAG: format_partition_key(Partition(last, days[-1] if days else None)),
            INTENDED_PARTITIONS_TAG: format_intended_partitions(self.advertiser_ids, days),
        }

    @property
    def name(self) -> str:
        """Short and unique among the chunks of one refresh."""
        return f"{self.advertiser_ids[0]}..{self.advertiser_ids[-1]}:{self.window or 'all'}"


def split_into_ranges(
    stored_order: Sequence[str], wanted: Mapping[str, DateWindow | None], *, most: int = MAX_ADVERTISERS_PER_RUN
) -> list[PartitionRange]:
    """The fewest runs that read each wanted advertiser over its days, and nobody else.

    Args:
        stored_order: every advertiser key in the order the instance holds them.
        wanted: the days of each; None where the table has no days.
        most: advertisers a run.

    Raises:
        KeyError: if a wanted advertiser is no partition.
    """
    if strangers := wanted.keys() - set(stored_order):
        raise KeyError(min(strangers))
    chunks: list[PartitionRange] = []
    neighbours = False
    for advertiser_id in stored_order:
        if advertiser_id not in wanted:
            neighbours = False
            continue
        window = wanted[advertiser_id]
        last = chunks[-1] if chunks and neighbours else None
        if last and last.window == window and len(last.advertiser_ids) < most:
            chunks[-1] = PartitionRange((*last.advertiser_ids, advertiser_id), window)
        else:
            chunks.append(PartitionRange((advertiser_id,), window))
        neighbours = True
    return chunks


RefreshStage = Literal["refresh_accounts", "refresh_daily", "refresh_lifetime"]

REFRESH_STAGES: tuple[RefreshStage, ...] = ("refresh_accounts", "refresh_daily", "refresh_lifetime")


def get_advertiser_keys(instance: dg.DagsterInstance) -> Sequence[str]:
    """Every advertiser key, in the order in which Dagster resolves a range."""
    return instance.get_dynamic_partitions(str(ADVERTISERS.name))


def find_advertisers_to_refresh(instance: dg.DagsterInstance, store: HiveStore, settings: Settings) -> list[str]:
    """The keys a refresh reads: those the settings name, else all but the accounts that lost their grant."""
    keys = get_advertiser_keys(instance)
    if settings.advertiser_ids:
        return [key for key in keys if key in set(settings.advertiser_ids)]
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = set(rows.filter(~rows.get_column("is_granted")).get_column("advertiser_id"))
    return [key for key in keys if key not in lost]


def plan_stage_ranges(
    stage: RefreshStage, instance: dg.DagsterInstance, store: HiveStore, settings: Settings, now: datetime
) -> list[PartitionRange]:
    """The runs of one stage, each a range of keys; none where there is nothing to read."""
    wanted = find_advertisers_to_refresh(instance, store, settings)
    if stage != "refresh_daily":
        return split_into_ranges(get_advertiser_keys(instance), dict.fromkeys(wanted))
    told = {
        row["advertiser_id"]: row for row in store.scan("advertisers", ADVERTISERS_SCHEMA).collect().to_dicts()
    }
    windows = {key: _find_window_to_refresh(store, settings, key, told.get(key, {}), now) for key in wanted}
    return split_into_ranges(
        get_advertiser_keys(instance), {key: window for key, window in windows.items() if window}
    )


def _find_window_to_refresh(
    store: HiveStore, settings: Settings, advertiser_id: str, mine: Mapping[str, Any], now: datetime
) -> DateWindow | None:
    """The days of one account; an account whose zone nobody stored yet is taken to live in UTC."""
    account = Account.from_row(advertiser_id, mine, settings.account_timezone, settings.account_currency)
    return select_refresh_window(
        store,
        [report.table for report in settings.chosen_reports if report.cadence == "daily"],
        account if account.has_known_zone else Account(advertiser_id, "", "UTC"),
        now,
        start=settings.start_date,
        lookback_days=settings.lookback_days,
        sweep_days=settings.sweep_days,
    )
