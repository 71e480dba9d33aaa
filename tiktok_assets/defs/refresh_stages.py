"""Split a refresh into three stages of range runs, the same for the schedule, the sensor and `sync`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import dagster as dg

from tiktok_assets.api import DateWindow
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import format_intended_partitions, format_partition_key
from tiktok_assets.defs.run_tags import INTENDED_PARTITIONS_TAG
from tiktok_assets.ingest import ADVERTISERS_SCHEMA, list_daily_tables, prefetch_recent_days, select_refresh_window
from tiktok_assets.settings import Settings
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import Account

RefreshStage = Literal["refresh_accounts", "refresh_daily", "refresh_lifetime"]

REFRESH_STAGES: tuple[RefreshStage, ...] = ("refresh_accounts", "refresh_daily", "refresh_lifetime")

MAX_ADVERTISERS_PER_RUN = 25
"""A run takes seconds to start, so one run reads many accounts; 25 keep a retry small."""

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class PartitionRange:
    """Adjacent advertiser keys and the days that one run reads of each.

    Attributes:
        advertiser_ids: in the order Dagster holds the keys.
        window: the days; None for tables that are not partitioned by day.
    """

    advertiser_ids: tuple[str, ...]
    window: DateWindow | None

    @property
    def tags(self) -> Mapping[str, str]:
        """The run tags with the partition range for Dagster and the partitions it is meant to hold."""
        first, last = self.advertiser_ids[0], self.advertiser_ids[-1]
        days = self.window.days if self.window else ()
        return {
            RANGE_START_TAG: format_partition_key(Partition(first, days[0] if days else None)),
            RANGE_END_TAG: format_partition_key(Partition(last, days[-1] if days else None)),
            INTENDED_PARTITIONS_TAG: format_intended_partitions(self.advertiser_ids, days),
        }

    @property
    def name(self) -> str:
        """A short name that is unique among the ranges of one refresh."""
        return f"{self.advertiser_ids[0]}..{self.advertiser_ids[-1]}:{self.window or 'all'}"


def split_into_ranges(
    advertiser_keys: Sequence[str],
    windows: Mapping[str, DateWindow | None],
    *,
    max_advertisers: int = MAX_ADVERTISERS_PER_RUN,
) -> list[PartitionRange]:
    """Split the advertisers to read into the fewest ranges that hold them and no others.

    Args:
        advertiser_keys: every advertiser key in the order the instance holds them.
        windows: the days to read of each advertiser; None for tables that are not partitioned by day.
        max_advertisers: the most advertisers per range.

    Raises:
        KeyError: if an advertiser to read is not a partition.
    """
    if unknown := windows.keys() - set(advertiser_keys):
        raise KeyError(min(unknown))
    ranges: list[PartitionRange] = []
    is_adjacent = False
    for advertiser_id in advertiser_keys:
        if advertiser_id not in windows:
            is_adjacent = False
            continue
        window = windows[advertiser_id]
        last = ranges[-1] if ranges and is_adjacent else None
        if last and last.window == window and len(last.advertiser_ids) < max_advertisers:
            ranges[-1] = PartitionRange((*last.advertiser_ids, advertiser_id), window)
        else:
            ranges.append(PartitionRange((advertiser_id,), window))
        is_adjacent = True
    return ranges


def get_advertiser_keys(instance: dg.DagsterInstance, settings: Settings) -> Sequence[str]:
    """Return every advertiser key, in the order in which Dagster resolves a range."""
    return instance.get_dynamic_partitions(Names(settings).partitions_name)


def find_advertisers_to_refresh(instance: dg.DagsterInstance, store: HiveStore, settings: Settings) -> list[str]:
    """Return the keys to refresh: the accounts in the settings, or else all that have not lost their grant."""
    keys = get_advertiser_keys(instance, settings)
    if settings.advertiser_ids:
        return [key for key in keys if key in set(settings.advertiser_ids)]
    rows = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
    lost = set(rows.filter(~rows.get_column("is_granted")).get_column("advertiser_id"))
    return [key for key in keys if key not in lost]


def plan_stage_ranges(
    stage: RefreshStage, instance: dg.DagsterInstance, store: HiveStore, settings: Settings, now: datetime
) -> list[PartitionRange]:
    """Plan the runs of one stage, each a range of partition keys; empty if there is nothing to read."""
    advertiser_ids = find_advertisers_to_refresh(instance, store, settings)
    if stage != "refresh_daily":
        return split_into_ranges(get_advertiser_keys(instance, settings), dict.fromkeys(advertiser_ids))
    rows = {
        row["advertiser_id"]: row for row in store.scan("advertisers", ADVERTISERS_SCHEMA).collect().to_dicts()
    }
    prefetch_recent_days(store, settings, advertiser_ids, now)
    windows = {
        key: _find_window_to_refresh(store, settings, key, rows.get(key, {}), now) for key in advertiser_ids
    }
    return split_into_ranges(
        get_advertiser_keys(instance, settings), {key: window for key, window in windows.items() if window}
    )


def _find_window_to_refresh(
    store: HiveStore, settings: Settings, advertiser_id: str, row: Mapping[str, Any], now: datetime
) -> DateWindow | None:
    """Return the days to refresh of one account; an account whose time zone is not stored yet counts as UTC."""
    account = Account.from_row(advertiser_id, row, settings.account_timezone, settings.account_currency)
    return select_refresh_window(
        store,
        list_daily_tables(store, settings, advertiser_id),
        account if account.has_known_zone else Account(advertiser_id, "", "UTC"),
        now,
        start=settings.start_date,
        lookback_days=settings.lookback_days,
        sweep_days=settings.sweep_days,
    )
