"""Log the plan of a run before its first request, and its progress while it reads."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from math import ceil

import dagster as dg

from tiktok_assets.api.request_plan import estimate_minutes
from tiktok_assets.ingest.estimates import Estimate, estimate_refresh
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.session import Session
from tiktok_assets.spec.endpoints import MAX_IDS_PER_CALL
from tiktok_assets.spec.entities import ADVERTISERS
from tiktok_assets.spec.metrics import describe_undocumented_metrics
from tiktok_assets.storage.hive_store import Partition

LOG_INTERVAL_SECONDS = 10.0
"""A line costs an event, so they come at a calm rhythm."""


def log_plan(context: dg.AssetExecutionContext, session: Session, partitions: Sequence[Partition]) -> None:
    """Say once a run what it will take, before its first request and without one.

    Args:
        context: of the step that comes first.
        session: of the run.
        partitions: those of the run.
    """
    if context.run.run_id in session.planned_runs:
        return
    session.planned_runs.add(context.run.run_id)
    tables = {key.path[-1] for key in context.job_def.asset_layer.selected_asset_keys}
    context.log.info(describe_plan(session, partitions, tables))
    if doubt := describe_undocumented_metrics(session.settings.chosen_metrics):
        context.log.warning("%s", doubt)


def describe_plan(session: Session, partitions: Sequence[Partition], tables: Iterable[str]) -> str:
    """The sentence that says what reading these partitions of these tables will take."""
    settings, wanted = session.settings, set(tables)
    alike = _group_accounts_by_days(partitions)
    accounts = sum(map(len, alike.values()))
    found = [
        estimate_refresh(session.store, settings.chosen_reports, ids, days, wanted - {ADVERTISERS.table})
        for days, ids in alike.items()
    ]
    requests, rows, unknown = (sum(getattr(one, name) for one in found) for name in Estimate.__slots__)
    if ADVERTISERS.table in wanted:
        named = len(settings.advertiser_ids)
        requests += ceil((named or accounts) / MAX_IDS_PER_CALL) + (0 if named else 1)
        rows, unknown = rows + (named or accounts), unknown + (not named)
    minutes = max(0.1, estimate_minutes(requests, settings.requests_per_second, settings.requests_per_minute))
    tier = "TIKTOK_QPS" if settings.qps else settings.api_tier
    days = sum(1 for one in partitions if one.day)
    return (
        f"Plan: {'at least' if unknown else 'about'} {requests:,} requests, {minutes} minutes"
        f" at {settings.requests_per_second:g} a second ({tier}); {accounts:,} accounts"
        + (f" and {days:,} days of theirs; " if days else "; ")
        + f"{rows:,} rows by what is stored"
        + (f", {unknown:,} of the readings never made before." if unknown else ".")
    )


def _group_accounts_by_days(partitions: Iterable[Partition]) -> dict[tuple[date, ...], list[str]]:
    """The accounts, by the days that are read of them."""
    days: dict[str, list[date]] = {}
    for one in partitions:
        days.setdefault(str(one.advertiser_id), []).extend([one.day] if one.day else [])
    alike: dict[tuple[date, ...], list[str]] = {}
    for advertiser_id, theirs in days.items():
        alike.setdefault(tuple(sorted(theirs)), []).append(advertiser_id)
    return alike


def _count_requests(session: Session) -> tuple[int, int, int]:
    return session.total.requests, session.total.retries, session.throttled_count


def log_progress(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    session: Session,
    table: str,
    outcomes: Iterable[WrittenPartition | FailedPartitions],
    partitions: int,
) -> Iterator[WrittenPartition | FailedPartitions]:
    """The outcomes as they come, with a line of progress every ten seconds and one at the end.

    Args:
        context: of the step.
        session: its requests are counted.
        table: what is read; others that come with it, as a history does, are not counted.
        outcomes: taken one by one.
        partitions: how many there will be.
    """
    before, began, done = _count_requests(session), time.monotonic(), 0
    told = began

    def line() -> str:
        requests, retries, refusals = (
            now - then for now, then in zip(_count_requests(session), before, strict=True)
        )
        rate = requests / max(time.monotonic() - began, 0.001)
        return (
            f"{table}: {done:,} of {partitions:,} partitions done, {partitions - done:,} left;"
            f" {requests:,} requests, {rate:.1f} a second; {refusals:,} refused for speed, {retries:,} sent again."
        )

    for outcome in outcomes:
        if isinstance(outcome, FailedPartitions):
            done += len(outcome.partitions)
        elif outcome.table == table:
            done += 1
        if time.monotonic() - told >= LOG_INTERVAL_SECONDS:
            told = time.monotonic()
            context.log.info(line())
        yield outcome
    context.log.info(line())
