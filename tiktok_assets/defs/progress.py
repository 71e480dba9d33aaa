"""Log the plan of a run before its first request, and its progress while it reads."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from math import ceil

import dagster as dg

from tiktok_assets.api import estimate_minutes
from tiktok_assets.defs.names import Names
from tiktok_assets.ingest import (
    MIN_TASK_DAYS,
    Estimate,
    FailedPartitions,
    WrittenPartition,
    estimate_gmv_max_requests,
    estimate_media_requests,
    estimate_refresh,
    meets_condition,
    select_accounts_without_shops,
)
from tiktok_assets.session import Session
from tiktok_assets.spec import (
    ADVERTISERS,
    GMV_MAX_SHOPS,
    MAX_IDS_PER_CALL,
    MEDIA_TABLES,
    Entity,
    Report,
    describe_undocumented_metrics,
)
from tiktok_assets.storage import Partition

MAX_NAMED_ACCOUNTS = 5

LOG_INTERVAL_SECONDS = 10.0
"""The interval between progress lines; each line is an event in Dagster's event log."""


def log_plan(context: dg.AssetExecutionContext, names: Names, partitions: Sequence[Partition]) -> None:
    """Log the plan of a run once, before its first request and without sending one.

    Args:
        context: the context of the first step.
        names: of the assets and of the session.
        partitions: the partitions of the run.
    """
    session = names.session(context)
    if context.run.run_id in session.planned_runs:
        return
    session.planned_runs.add(context.run.run_id)
    tables = names.tables(context.job_def.asset_layer.selected_asset_keys)
    context.log.info(describe_plan(session, partitions, tables))
    if warning := describe_undocumented_metrics(session.settings.chosen_metrics):
        context.log.warning("%s", warning)


def log_accounts_without_table(
    context: dg.AssetExecutionContext, session: Session, table: Entity | Report, advertiser_ids: Iterable[str]
) -> set[str]:
    """Log for how many accounts a table is not read and why, and return their ids."""
    condition = table.condition
    without = {one for one in set(advertiser_ids) if not meets_condition(session.store, condition, one)}
    if condition and without:
        named = ", ".join(sorted(without)[:MAX_NAMED_ACCOUNTS]) + (
            ", …" if len(without) > MAX_NAMED_ACCOUNTS else ""
        )
        context.log.info(
            "%s: %d accounts are not read, because `%s` does not have %s of them (%s)",
            table.table,
            len(without),
            condition.table,
            condition.meaning,
            named,
        )
    return without


def describe_plan(session: Session, partitions: Sequence[Partition], tables: Iterable[str]) -> str:
    """Describe how many requests, minutes and rows it takes to read these partitions of these tables."""
    settings, table_names = session.settings, set(tables)
    accounts_by_days = _group_accounts_by_days(partitions)
    accounts = sum(map(len, accounts_by_days.values()))
    estimates = [
        estimate_refresh(session.store, settings.chosen_reports, ids, days, table_names - {ADVERTISERS.table})
        for days, ids in accounts_by_days.items()
    ]
    requests, rows, unknown = (
        sum(getattr(estimate, name) for estimate in estimates) for name in Estimate.__slots__
    )
    if ADVERTISERS.table in table_names:
        named = len(settings.advertiser_ids)
        requests += ceil((named or accounts) / MAX_IDS_PER_CALL) + (0 if named else 1)
        rows, unknown = rows + (named or accounts), unknown + (not named)
    requests += _count_gmv_max_requests(session, accounts_by_days, table_names)
    requests += sum(
        estimate_media_requests(session.store, media, one, session.now())
        for media in MEDIA_TABLES
        if media.table in table_names
        for one in {one for ids in accounts_by_days.values() for one in ids}
    )
    minutes = max(0.1, estimate_minutes(requests, settings.requests_per_second, settings.requests_per_minute))
    tier = "TIKTOK_QPS" if settings.qps else settings.api_tier
    days = sum(1 for partition in partitions if partition.day)
    return (
        f"Plan: {'at least' if unknown else 'about'} {requests:,} requests, {minutes} minutes"
        f" at {settings.requests_per_second:g} per second ({tier}); {accounts:,} accounts"
        + (f" and {days:,} account days; " if days else "; ")
        + f"{rows:,} rows estimated from stored data"
        + (f", {unknown:,} queries without an estimate." if unknown else ".")
        + (" Report tasks may take fewer requests." if _may_use_tasks(session, accounts_by_days) else "")
    )


def _may_use_tasks(session: Session, accounts_by_days: Mapping[tuple[date, ...], Sequence[str]]) -> bool:
    """Return whether an account has so many days that report tasks are considered."""
    return session.settings.report_tasks != "never" and any(
        len(days) >= MIN_TASK_DAYS for days in accounts_by_days
    )


def _count_gmv_max_requests(
    session: Session, accounts_by_days: Mapping[tuple[date, ...], Sequence[str]], tables: set[str]
) -> int:
    """Return how many requests the shops and the reports of GMV Max take."""
    reports = [report for report in session.settings.chosen_gmv_max_reports if report.table in tables]
    requests = sum(
        sum(estimate_gmv_max_requests(session.store, reports, one, days).values())
        for days, ids in accounts_by_days.items()
        for one in ids
        if reports
    )
    if GMV_MAX_SHOPS.table not in tables:
        return requests
    ids = sorted({one for ids in accounts_by_days.values() for one in ids})
    is_only_table = tables == {GMV_MAX_SHOPS.table}
    return requests + len(
        select_accounts_without_shops(
            session.store, session.settings, ids, session.now(), is_only_table=is_only_table
        )
    )


def _group_accounts_by_days(partitions: Iterable[Partition]) -> dict[tuple[date, ...], list[str]]:
    """Group the accounts by the days to read of them."""
    days: dict[str, list[date]] = {}
    for partition in partitions:
        days.setdefault(str(partition.advertiser_id), []).extend([partition.day] if partition.day else [])
    accounts_by_days: dict[tuple[date, ...], list[str]] = {}
    for advertiser_id, account_days in days.items():
        accounts_by_days.setdefault(tuple(sorted(account_days)), []).append(advertiser_id)
    return accounts_by_days


def _count_requests(session: Session) -> tuple[int, int, int]:
    return session.total.requests, session.total.retries, session.throttled_count


def log_progress(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    session: Session,
    table: str,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
    partitions: int,
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Yield the outcomes unchanged, and log the progress every ten seconds and at the end.

    Args:
        context: the context of the step.
        session: the session whose requests are counted.
        table: the table that is read; outcomes of other tables, such as its history, are not counted.
        outcomes: consumed one by one.
        partitions: the expected number of partitions of the table.
    """
    before, began, done = _count_requests(session), time.monotonic(), 0
    logged = began

    def progress() -> str:
        requests, retries, throttled = (
            now - then for now, then in zip(_count_requests(session), before, strict=True)
        )
        rate = requests / max(time.monotonic() - began, 0.001)
        return (
            f"{table}: {done:,} of {partitions:,} partitions done, {partitions - done:,} left;"
            f" {requests:,} requests, {rate:.1f} per second; {throttled:,} rate limited, {retries:,} retried."
        )

    for outcome in outcomes:
        if isinstance(outcome, FailedPartitions):
            done += len(outcome.partitions)
        elif outcome.table == table:
            done += 1
        if time.monotonic() - logged >= LOG_INTERVAL_SECONDS:
            logged = time.monotonic()
            context.log.info(progress())
        _log_notices(context, session)
        yield outcome
    _log_notices(context, session)
    context.log.info(progress())


def _log_notices(context: dg.AssetExecutionContext | dg.OpExecutionContext, session: Session) -> None:
    """Log which days a report task was created for that are read in pages instead."""
    tasks = session.reader.tasks
    while tasks and tasks.notices:
        context.log.warning("%s", tasks.notices.popleft())
