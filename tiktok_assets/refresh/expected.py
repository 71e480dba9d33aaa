"""What a refresh will take, without a request: the sizes are those of what was stored before."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api.plan import Workload, plan
from tiktok_assets.spec.entities import HIDDEN_KINDS, LISTED_ENTITIES
from tiktok_assets.spec.reports import Report
from tiktok_assets.storage.hive_parquet import HiveStore, Partition

FILES_AT_ONCE = 16
"""An object store takes its time to answer, and the first request waits for the plan."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What tables will take.

    Attributes:
        requests: as many as the rows need that are known of; at least one for each question.
        rows: of all readings together.
        unknown: listings nobody has read before, which count as empty.
    """

    requests: int
    rows: int
    unknown: int


def expected(
    store: HiveStore,
    reports: Iterable[Report],
    advertiser_ids: Sequence[str],
    days: Sequence[date],
    tables: Iterable[str],
) -> Expected:
    """What reading these tables of these accounts over these days will take.

    A list or lifetime report is taken to be as long as the stored one; a day of a report as long as the newest of
    these days that is stored, so that one file a table and account is looked into.

    Args:
        store: the tables.
        reports: those that exist.
        advertiser_ids: the accounts.
        days: of the daily reports; unused where none is among the tables.
        tables: names; those that are neither lists nor reports take nothing.
    """
    wanted, newest = set(tables), sorted(days, reverse=True)
    chosen = [report for report in reports if report.table in wanted]
    lists = [entity.table for entity in LISTED_ENTITIES if entity.table in wanted]
    daily = [report.table for report in chosen if report.cadence == "daily"]
    lifetime = [report.table for report in chosen if report.cadence == "lifetime"]

    def stored(one: tuple[str, str]) -> int | None:
        table, owner = one
        candidates = (Partition(owner, day) for day in newest) if table in daily else [Partition(owner)]
        return next((rows for each in candidates if (rows := _rows(store, table, each)) is not None), None)

    asked = [(table, owner) for owner in advertiser_ids for table in (*lists, *daily, *lifetime)]
    with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="size") as threads:
        sizes = dict(zip(asked, threads.map(stored, asked), strict=True))

    def sized(tables: Iterable[str], owner: str) -> dict[str, int]:
        return {table: sizes[table, owner] or 0 for table in tables}

    lines = plan(
        {one: Workload(sized(lists, one), sized(daily, one), sized(lifetime, one)) for one in advertiser_ids},
        days,
        wanted,
        lists_accounts=False,
        window_days={report.table: report.window_days for report in chosen},
        looks=len(HIDDEN_KINDS),
    )
    unknown = sum(size is None for size in sizes.values())
    return Expected(sum(line.requests for line in lines), sum(line.rows for line in lines), unknown)


def _rows(store: HiveStore, table: str, partition: Partition) -> int | None:
    """How many rows a partition holds, from the foot of its file; None where it was never read, or cannot be."""
    try:
        file = store.open(table, partition)
        return None if file is None else int(file.select(pl.len()).collect().item())
    except (OSError, PolarsError):
        return None  # a plan stops no run, and this one will replace the file
