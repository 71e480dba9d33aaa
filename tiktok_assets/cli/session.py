"""Load the settings of a command, open its session, and start its first requests early."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from tiktok_assets.api import RetryPolicy
from tiktok_assets.cli.arguments import parse_table_names, parse_window, select_advertisers
from tiktok_assets.cli.env_file import ENV_FILE
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.cli.output import log_line
from tiktok_assets.file_permissions import restrict_file
from tiktok_assets.ingest import prefetch_report
from tiktok_assets.session import Session, open_session
from tiktok_assets.settings import Settings, load_settings, require_storable_version
from tiktok_assets.spec import ENTITIES, GMV_MAX_SHOPS, MEDIA_TABLES

INTERACTIVE_RETRY_POLICY = RetryPolicy(
    max_attempts=3,
    total_seconds=120.0,
    max_backoff_seconds=2.0,
    first_cooldown_seconds=1.5,
    max_cooldown_wait_seconds=10.0,
)
"""Few retries: a command reports a longer throttle with its end instead of waiting for it."""


def load_command_settings() -> Settings:
    """Load the settings, after restricting `.env` to its owner."""
    _restrict_env_file()
    return load_settings()


def load_storage_settings() -> Settings:
    """Load the settings of a command that stores data.

    Raises:
        SettingsError: if the settings only allow reading, such as an API version that cannot be stored.
    """
    settings = load_command_settings()
    require_storable_version(settings)
    return settings


def _restrict_env_file() -> None:
    """Make `.env`, which holds the token, readable by its owner only, and report it."""
    with suppress(OSError):  # no such file, or a disk without permissions
        if restrict_file(ENV_FILE):
            log_line("Other users could read .env; it is now readable by its owner only (chmod 600).")


@contextmanager
def open_interactive_session(settings: Settings) -> Iterator[Session]:
    """Open a session with few retries, for a command whose user waits for its output."""
    with open_session(settings, policy=INTERACTIVE_RETRY_POLICY) as session:
        yield session


def prefetch_daily_report(
    session: Session, advertisers: Sequence[str], first: str | None, last: str | None, select: str | None
) -> None:
    """Start to read the first requested daily report in the background, while Dagster is imported.

    Nothing is sent unless the settings name the accounts and the options name both days, or if `sync` will refuse
    the options.

    Raises:
        StoreError: if the tables cannot be written.
    """
    settings = session.settings
    if not first or not last or not settings.advertiser_ids:
        return
    daily_reports = [report for report in settings.chosen_reports if report.cadence == "daily"]
    names = set(parse_table_names(select))
    known_names = {one.table for one in (*ENTITIES, *MEDIA_TABLES, GMV_MAX_SHOPS)}
    known_names |= {report.table for report in settings.chosen_reports}
    known_names |= {report.table for report in settings.chosen_gmv_max_reports}
    selected = [report for report in daily_reports if not names or report.table in names]
    now = datetime.now(UTC)
    try:
        advertiser_ids = select_advertisers(advertisers, session.advertiser_ids)
        window = parse_window(first, last, start=settings.start_date, now=now)
    except UsageError:
        return
    if not selected or not window or window.last > now.date() or not names <= known_names:
        return
    session.store.check_writable()
    prefetch_report(session.reader, selected[0], advertiser_ids[0], window.days)
