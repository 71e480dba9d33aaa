"""Plan and run the reading of stored days that lack a selected column, for `plan` and `sync --missing-columns`."""

from collections.abc import Sequence
from datetime import date

from tiktok_assets.api import DateWindow, estimate_minutes
from tiktok_assets.cli.plan import RefreshPlan, plan_account_requests
from tiktok_assets.ingest import describe_column_gaps, find_all_column_gaps, plan_column_gaps, require_accounts
from tiktok_assets.session import Session


def plan_missing_columns(
    session: Session, advertisers: Sequence[str], window: DateWindow | None, tables: Sequence[str]
) -> RefreshPlan:
    """Count the requests, rows and minutes for reading the stored days that lack a selected column.

    The rows are those that are stored, so no report is requested.

    Args:
        session: an open session.
        advertisers: the advertiser ids.
        window: the days to look at; None for all since the start date.
        tables: the daily reports.

    Raises:
        TikTokError: if an account cannot be read.
        StoreError: if the tables cannot be read.
    """
    settings, before = session.settings, session.total.requests
    accounts = require_accounts(session.reader, session.store, settings, advertisers)
    days = window or DateWindow(settings.start_date, date.max)
    lines, notes = [], []
    for report, gaps in find_all_column_gaps(session.store, settings, tables, accounts, days, now=session.now()):
        notes += [f"{report.table}: {phrase}." for phrase in describe_column_gaps(gaps.gaps)]
        if gaps.partitions:
            lines.append(plan_column_gaps(session.store, report, gaps))
    if lines:
        lines = [*plan_account_requests(session, advertisers, [line.subject for line in lines]), *lines]
    requests = sum(line.requests for line in lines)
    minutes = estimate_minutes(requests, settings.requests_per_second, settings.requests_per_minute)
    probes = session.total.requests - before
    notes = notes or ["Every stored day has every column that is selected."]
    return RefreshPlan(lines, requests, sum(line.rows for line in lines), minutes, probes, notes)
