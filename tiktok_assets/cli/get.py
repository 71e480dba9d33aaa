"""Run the `get` commands: read accounts, campaigns, ad groups, ads and reports live."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.arguments import parse_window, split_window_by_account
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.ingest.accounts import require_accounts
from tiktok_assets.ingest.report_reader import build_report_queries, read_entities, read_reports
from tiktok_assets.ingest.writer import read_accounts_or_settings
from tiktok_assets.session import Session
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.spec.reports import REPORTS, Cadence, Report
from tiktok_assets.tables.account_calendar import Account

DEFAULT_DAYS = 7

AccountWindow = Callable[[Account], DateWindow]
"""The days of a report, which end by the account's own clock."""


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """Which part of the account: empty means all of it."""

    campaign: str | None = None
    ad_group: str | None = None

    @property
    def filters(self) -> Mapping[str, list[str]]:
        """By the API's filter names."""
        named = {"campaign_ids": self.campaign, "adgroup_ids": self.ad_group}
        return {name: [value] for name, value in named.items() if value}


def select_advertiser(session: Session, asked: str | None) -> str:
    """The account asked for, or the only one there is.

    Raises:
        WrongUsage: if there are several and none was named.
    """
    if asked:
        return asked
    ids = session.advertiser_ids
    if len(ids) == 1:
        return ids[0]
    raise UsageError(f"there are {len(ids)} advertisers; name one with --advertiser: {', '.join(ids)}.")


def fetch_advertisers(session: Session) -> pl.DataFrame:
    """The accounts that may be read."""
    settings = session.settings
    return read_accounts_or_settings(
        session.reader, session.advertiser_ids, settings.account_timezone, settings.account_currency
    ).frame


def fetch_entities(session: Session, table: str, advertiser_id: str, narrowed: EntityFilter) -> pl.DataFrame:
    """The campaigns, ad groups or ads of an account, deleted ones included.

    Raises:
        TikTokError: if they cannot be read.
    """
    entity = next(entity for entity in LISTED_ENTITIES if entity.table == table)
    for _, read in read_entities(session.reader, entity, [advertiser_id], filters=narrowed.filters):
        if isinstance(read, TikTokError):
            raise read
        return read[0]
    raise AssertionError("one account gives one answer")  # pragma: no cover


def fetch_report(
    session: Session, level: str, advertiser_id: str, narrowed: EntityFilter, days: AccountWindow | None
) -> pl.DataFrame:
    """A report of an account, of the days it is given; lifetime without. Most spend first.

    Raises:
        TikTokError: if it cannot be read.
        WrongUsage: if none of the days has ended in the account's zone.
    """
    report = find_report(level, "daily" if days else "lifetime")
    (account,) = require_accounts(session.reader, session.store, session.settings, [advertiser_id])
    window = days(account) if days else None
    questions = build_report_queries(report, account, window.days if window else ())
    frames = []
    for _, answer in read_reports(session.reader, questions, filters=narrowed.filters):
        if isinstance(answer, TikTokError):
            raise answer
        frames.append(answer.frame)
    rows = pl.concat(frames)
    order = ["date", "spend"] if window else ["spend"]
    return rows.sort(order, descending=[name == "spend" for name in order])


def find_report(level: str, cadence: Cadence) -> Report:
    """The row of `spec.reports` for a level and a cadence.

    Raises:
        WrongUsage: if there is no such level.
    """
    for report in REPORTS:
        if report.level.name == level.replace("-", "_") and report.cadence == cadence:
            return report
    levels = dict.fromkeys(report.level.name for report in REPORTS)
    raise UsageError(f"there is no level {level!r}; the levels are: {', '.join(levels)}.")


def resolve_report_days(
    first: str | None, last: str | None, *, lifetime: bool, now: Callable[[], datetime]
) -> AccountWindow | None:
    """The days of `get report`, by account: none for a lifetime, else those asked for, else the last seven.

    Unless --to names the last day, it is yesterday in the account's own zone.

    Args:
        first: of --from.
        last: of --to.
        lifetime: of --lifetime.
        now: the host's clock, which is known once it has answered.

    Raises:
        WrongUsage: if both a lifetime and days are asked for, or the days make no sense.
    """
    if lifetime and (first or last):
        raise UsageError("--lifetime has no days; leave out --from and --to.")
    if lifetime:
        return None
    asked = parse_window(first, last, start=date.min, now=now())

    def _days_of(account: Account) -> DateWindow:
        if asked:
            windows = split_window_by_account(asked, [account], now(), is_end_named=last is not None)
            return windows[account.advertiser_id]
        yesterday = account.today(now()) - timedelta(1)
        return DateWindow(yesterday - timedelta(DEFAULT_DAYS - 1), yesterday)

    return _days_of


TABLE_COLUMNS: Mapping[str, Sequence[str]] = {
    "advertisers": ("advertiser_id", "name", "currency", "display_timezone", "country", "status", "balance"),
    "campaigns": ("campaign_id", "campaign_name", "objective_type", "operation_status", "budget"),
    "ad_groups": (
        "ad_group_id", "ad_group_name", "campaign_name", "operation_status", "secondary_status", "budget",
        "bid_price", "optimization_goal",
    ),
    "ads": (
        "ad_id", "ad_name", "ad_group_name", "operation_status", "secondary_status", "ad_format", "call_to_action",
        "landing_page_url",
    ),
    "report": (
        "date", "advertiser_id", "campaign_id", "ad_group_id", "ad_id", "ad_name", "spend", "currency",
        "impressions", "clicks", "conversion",
    ),
}  # fmt: skip
"""The columns a person sees of each; `--json` and `--csv` have all."""
