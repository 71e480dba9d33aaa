"""Run the `get` commands: read accounts, campaigns, ad groups, ads, their files and reports live."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from tiktok_assets.api import DateWindow, TikTokError
from tiktok_assets.cli.arguments import parse_window, split_window_by_account
from tiktok_assets.cli.errors import UsageError
from tiktok_assets.ingest import (
    plan_report_requests,
    read_accounts_or_settings,
    read_entities,
    read_media,
    read_reports,
    require_accounts,
    select_used_ids,
)
from tiktok_assets.session import Session
from tiktok_assets.spec import ADS, LISTED_ENTITIES, MEDIA_TABLES, REPORTS, Cadence, Report
from tiktok_assets.tables import Account

DEFAULT_DAYS = 7

AccountWindow = Callable[[Account], DateWindow]
"""Returns the days of a report for an account; they end in the account's time zone."""


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """A filter by campaign and ad group; without either it matches the whole account."""

    campaign: str | None = None
    ad_group: str | None = None

    @property
    def filters(self) -> Mapping[str, list[str]]:
        """The filter values by the API's filter names."""
        values = {"campaign_ids": self.campaign, "adgroup_ids": self.ad_group}
        return {name: [value] for name, value in values.items() if value}


def select_advertiser(session: Session, requested: str | None) -> str:
    """Return the requested advertiser id, or the only one there is.

    Raises:
        UsageError: if there are several and none is requested.
    """
    if requested:
        return requested
    ids = session.advertiser_ids
    if len(ids) == 1:
        return ids[0]
    raise UsageError(f"there are {len(ids)} advertisers; choose one with --advertiser: {', '.join(ids)}.")


def fetch_advertisers(session: Session) -> pl.DataFrame:
    """Read the granted ad accounts."""
    settings = session.settings
    return read_accounts_or_settings(
        session.reader, session.advertiser_ids, settings.account_timezone, settings.account_currency
    ).frame


def fetch_entities(session: Session, table: str, advertiser_id: str, entity_filter: EntityFilter) -> pl.DataFrame:
    """Read the campaigns, ad groups or ads of an account, including deleted ones.

    Args:
        session: an open session.
        table: `campaigns`, `ad_groups` or `ads`.
        advertiser_id: the account.
        entity_filter: which entities of the account to read.

    Raises:
        TikTokError: if they cannot be read.
    """
    entity = next(entity for entity in LISTED_ENTITIES if entity.table == table)
    for _, result in read_entities(session.reader, entity, [advertiser_id], filters=entity_filter.filters):
        if isinstance(result, TikTokError):
            raise result
        return result[0]
    raise AssertionError("read_entities yields one result for each account")  # pragma: no cover


def fetch_media(session: Session, table: str, advertiser_id: str, entity_filter: EntityFilter) -> pl.DataFrame:
    """Read the videos or images that the ads of an account use.

    Of one that TikTok does not return there is the id only.

    Args:
        session: an open session.
        table: `videos` or `images`.
        advertiser_id: the account.
        entity_filter: of which ads.

    Raises:
        TikTokError: if the ads or their files cannot be read.
    """
    media = next(media for media in MEDIA_TABLES if media.table == table)
    ids = select_used_ids(fetch_entities(session, ADS.table, advertiser_id, entity_filter), media)
    files, _ = read_media(session.reader, media, advertiser_id, ids)
    own = pl.DataFrame({media.entity.key: ids}, {media.entity.key: pl.String()})
    columns = [column.name for column in media.entity.columns if column.api_name]  # the others are of thumbnails
    return own.join(files, on=media.entity.key, maintain_order="left").select(columns)


def fetch_report(
    session: Session, level: str, advertiser_id: str, entity_filter: EntityFilter, days: AccountWindow | None
) -> pl.DataFrame:
    """Read a report of an account, sorted by day and by descending spend.

    Args:
        session: an open session.
        level: `advertiser`, `campaign`, `ad-group` or `ad`.
        advertiser_id: the account.
        entity_filter: which entities of the account to read.
        days: the result of `resolve_report_days`; None for the lifetime report.

    Raises:
        TikTokError: if it cannot be read.
        UsageError: if there is no such level, or none of the days has ended in the account's time zone.
    """
    report = find_report(level, "daily" if days else "lifetime")
    (account,) = require_accounts(session.reader, session.store, session.settings, [advertiser_id])
    window = days(account) if days else None
    queries = plan_report_requests(report, account, window.days if window else ())
    frames = []
    for _, result in read_reports(session.reader, queries, filters=entity_filter.filters):
        if isinstance(result, TikTokError):
            raise result
        frames.append(result.frame)
    rows = pl.concat(frames)
    sort_columns = ["date", "spend"] if window else ["spend"]
    return rows.sort(sort_columns, descending=[name == "spend" for name in sort_columns])


def find_report(level: str, cadence: Cadence) -> Report:
    """Return the report of `spec.reports` for a level and a cadence.

    Raises:
        UsageError: if there is no such level.
    """
    for report in REPORTS:
        if report.level.name == level.replace("-", "_") and report.cadence == cadence:
            return report
    levels = dict.fromkeys(report.level.name for report in REPORTS)
    raise UsageError(f"there is no level {level!r}; the levels are: {', '.join(levels)}.")


def resolve_report_days(
    first: str | None, last: str | None, *, lifetime: bool, now: Callable[[], datetime]
) -> AccountWindow | None:
    """Return the days of `get report` as a function of the account; None for a lifetime report.

    The days are those of --from and --to, by default the last seven. Without --to the last day is yesterday in the
    account's time zone.

    Args:
        first: the value of --from.
        last: the value of --to.
        lifetime: whether --lifetime was given.
        now: returns the API host's time; it is called only after the host has responded.

    Raises:
        UsageError: if --lifetime is combined with days, or the days are invalid.
    """
    if lifetime and (first or last):
        raise UsageError("--lifetime has no days; remove --from and --to.")
    if lifetime:
        return None
    requested = parse_window(first, last, start=date.min, now=now())

    def _get_window(account: Account) -> DateWindow:
        if requested:
            windows = split_window_by_account(requested, [account], now(), is_end_named=last is not None)
            return windows[account.advertiser_id]
        yesterday = account.today(now()) - timedelta(1)
        return DateWindow(yesterday - timedelta(DEFAULT_DAYS - 1), yesterday)

    return _get_window
