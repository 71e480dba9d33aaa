"""Count the rows the API holds, or estimate the size of a refresh from the stored tables.

Counting sends one-row requests and uses the totals of the API; estimating sends no request.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api.errors import RequestError, TruncatedError
from tiktok_assets.api.request_plan import AccountRowCounts, DateWindow, plan_requests
from tiktok_assets.ingest.queries import build_entity_request, count_in_batches
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_request, list_ad_groups_of_truncated_report
from tiktok_assets.ingest.report_responses import ReportQuery
from tiktok_assets.spec.entities import LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity
from tiktok_assets.spec.reports import Report, served_metrics
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account


def count_entities(reader: Reader, entity: Entity, advertiser_id: str) -> int:
    """How many objects an entity has, deleted ones included.

    Raises:
        TikTokError: whatever the request raised.
    """
    return reader.fetcher.count(build_entity_request(entity, advertiser_id, {}, reader.now))


def count_report(reader: Reader, report: Report, account: Account, day: date | None) -> int:
    """How many rows a report has on one day, or over the whole life.

    Raises:
        TikTokError: whatever a request raised, but for what `read_reports` finds a way around as well.
    """
    question = ReportQuery(report, account, DateWindow(day, day) if day else None)
    served = served_metrics(report, reader.metrics)
    while True:
        asked = reader.lessons.asked(report.table, served)
        try:
            return reader.fetcher.count(build_request(reader, question, asked, {}))
        except TruncatedError as error:
            return count_in_batches(
                reader.fetcher,
                list_ad_groups_of_truncated_report(reader, question, {}, error),
                lambda ids: build_request(reader, question, asked, {"adgroup_ids": list(ids)}),  # noqa: B023 - called at once
            )
        except RequestError as error:
            if not reader.lessons.learned(report.table, question.window, asked, error):
                raise


MAX_OPEN_FILES = 16
"""An object store takes its time to answer, and the first request waits for the plan."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What tables will take.

    Attributes:
        requests: as many as the rows need that are known of; at least one for each question.
        rows: of all readings together.
        unknown: listings nobody has read before, which count as empty.
    """

    requests: int
    rows: int
    unknown: int


def estimate_refresh(
    store: HiveStore,
    reports: Iterable[Report],
    advertiser_ids: Sequence[str],
    days: Sequence[date],
    tables: Iterable[str],
) -> Estimate:
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
        return next(
            (rows for each in candidates if (rows := _count_stored_rows(store, table, each)) is not None), None
        )

    asked = [(table, owner) for owner in advertiser_ids for table in (*lists, *daily, *lifetime)]
    with ThreadPoolExecutor(MAX_OPEN_FILES, thread_name_prefix="size") as threads:
        sizes = dict(zip(asked, threads.map(stored, asked), strict=True))

    def sized(tables: Iterable[str], owner: str) -> dict[str, int]:
        return {table: sizes[table, owner] or 0 for table in tables}

    lines = plan_requests(
        {
            one: AccountRowCounts(sized(lists, one), sized(daily, one), sized(lifetime, one))
            for one in advertiser_ids
        },
        days,
        wanted,
        lists_accounts=False,
        window_days={report.table: report.window_days for report in chosen},
        looks=len(TOPVIEW_AND_PROMOTE),
    )
    unknown = sum(size is None for size in sizes.values())
    return Estimate(sum(line.requests for line in lines), sum(line.rows for line in lines), unknown)


def _count_stored_rows(store: HiveStore, table: str, partition: Partition) -> int | None:
    """How many rows a partition holds, from the foot of its file; None where it was never read, or cannot be."""
    try:
        file = store.open(table, partition)
        return None if file is None else int(file.select(pl.len()).collect().item())
    except (OSError, PolarsError):
        return None  # a plan stops no run, and this one will replace the file
