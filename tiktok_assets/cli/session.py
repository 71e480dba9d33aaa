"""Load the settings of a command and open its session."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from tiktok_assets.api.client import RetryPolicy
from tiktok_assets.cli.arguments import parse_window, select_advertisers
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.ingest.report_reader import prefetch_report
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import ENTITIES


def prefetch_daily_report(
    session: Session, advertisers: Sequence[str], first: str | None, last: str | None, select: str | None
) -> None:
    """Begin to read the first daily report that was asked for, where what to ask is certain.

    It is where accounts and days are named; a call that `sync` will refuse sends nothing.

    Raises:
        StoreError: if the tables cannot be written.
    """
    settings = session.settings
    if not first or not last or not settings.advertiser_ids:
        return
    daily = [report for report in settings.chosen_reports if report.cadence == "daily"]
    names = {name.strip() for name in (select or "").split(",") if name.strip()}
    known = {entity.table for entity in ENTITIES} | {report.table for report in settings.chosen_reports}
    wanted = [report for report in daily if not names or report.table in names]
    now = datetime.now(UTC)
    try:
        owners = select_advertisers(advertisers, session.advertiser_ids)
        window = parse_window(first, last, start=settings.start_date, now=now)
    except UsageError:
        return
    if not wanted or not window or window.last > now.date() or not names <= known:
        return
    session.store.check_writable()
    prefetch_report(session.reader, wanted[0], owners[0], window.days)


INTERACTIVE_RETRY_POLICY = RetryPolicy(
    attempts=3, total_seconds=120.0, wait_max_seconds=2.0, throttle_seconds=1.5, patience_seconds=10.0
)
"""A few more tries; an app that TikTok holds back for longer than this is told with the time to come back."""


@contextmanager
def open_interactive_session(settings: Settings) -> Iterator[Session]:
    """A session that would rather tell what is wrong than wait."""
    with open_session(settings, policy=INTERACTIVE_RETRY_POLICY) as session:
        yield session
