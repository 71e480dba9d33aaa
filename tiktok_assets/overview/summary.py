"""From stored frames to what the page says of each currency and each account.

Only additive metrics are summed; what a conversion or a click costs is worked out from the sums.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.budgets import BudgetUse, budget_uses
from tiktok_assets.overview.contents import AccountPage, CurrencyPage, Overview, Ranked, Row, Sums
from tiktok_assets.overview.stored import SCHEMAS, Stored
from tiktok_assets.spec.metrics import METRICS_BY_NAME
from tiktok_assets.totals import known_sums

WEEK = timedelta(7)
RANKED_ROWS = 10
LINES_AT_MOST = 7

_KINDS = {name: SCHEMAS["daily"][name] for name in Sums.__slots__}


def summarise(stored: Stored, built_at: datetime) -> Overview:
    """The page's contents.

    Args:
        stored: see `stored.read_stored`.
        built_at: aware.
    """
    advertisers = {row["advertiser_id"]: row for row in stored.of("advertisers").to_dicts()}
    budgets = budget_uses(stored)
    owners: dict[str, set[str]] = {}
    for table in ("daily", "campaign_report_lifetime", "advertisers"):
        for row in stored.of(table).select("currency", "advertiser_id").unique().to_dicts():
            # An account without a currency of its own still shows what was read of it.
            owners.setdefault(row["currency"] or "", set()).add(row["advertiser_id"])
    pages = []
    for currency, ids in sorted(owners.items()):
        frames = {table: _in_currency(stored.of(table), currency) for table in _IN_MONEY}
        names = {owner: _name(advertisers, owner) for owner in ids}
        statuses = _statuses(stored)
        accounts = [
            _account(
                owner,
                currency,
                row=advertisers.get(owner, {}),
                stored=stored,
                frames=frames,
                names=names,
                statuses=statuses,
                budgets=budgets,
            )
            for owner in ids
        ]
        accounts.sort(key=lambda one: (-(one.week.spend or 0), -(one.lifetime.spend or 0), one.name))
        pages.append(_currency(currency, accounts, frames, names, statuses))
    # Currencies cannot be ranked by amount: those in which something was spent come first, then the alphabet.
    pages.sort(key=lambda page: not page.lifetime.spend)
    return Overview(built_at, pages)


_IN_MONEY = (
    "daily",
    "campaign_report_lifetime",
    "ad_report_lifetime",
    "top_spenders",
    "duplication_candidates",
    "report_restatements",
)


def _in_currency(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    return frame.filter(pl.col("currency").fill_null("") == currency)


def _name(advertisers: Mapping[str, Row], owner: str) -> str:
    return str(advertisers.get(owner, {}).get("name") or owner)


def _statuses(stored: Stored) -> Mapping[str, str | None]:
    campaigns = dict(stored.of("campaigns").select("campaign_id", "secondary_status").iter_rows())
    return campaigns | dict(stored.of("ads").select("ad_id", "secondary_status").iter_rows())


def _currency(
    currency: str,
    accounts: Sequence[AccountPage],
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
) -> CurrencyPage:
    lifetime = _sums(frames["campaign_report_lifetime"])
    return CurrencyPage(
        currency,
        accounts,
        _together([account.week for account in accounts]),
        _together([account.week_before for account in accounts]),
        lifetime,
        _lines(accounts),
        _ranked(frames["campaign_report_lifetime"], "campaign", names, statuses),
        _ranked(frames["ad_report_lifetime"], "ad", names, statuses),
    )


def _account(
    owner: str,
    currency: str,
    *,
    row: Row,
    stored: Stored,
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
    budgets: Mapping[str, Sequence[BudgetUse]],
) -> AccountPage:
    mine = {table: frame.filter(pl.col("advertiser_id") == owner) for table, frame in frames.items()}
    fresh = stored.freshness.get(owner)
    last = fresh.complete_day if fresh else None
    campaigns, ads = mine["campaign_report_lifetime"], mine["ad_report_lifetime"]
    return AccountPage(
        advertiser_id=owner,
        name=names[owner],
        company=row.get("company") or "",
        timezone=row.get("display_timezone") or row.get("timezone") or "",
        currency=currency,
        is_granted=row.get("is_granted") is not False,
        balance=row.get("balance") if row.get("currency") == currency else None,
        freshness=fresh,
        week=_week(mine["daily"], last),
        week_before=_week(mine["daily"], last - WEEK if last else None),
        lifetime=_sums(campaigns),
        daily=mine["daily"].select("date", "spend", "conversion", "is_complete").sort("date").to_dicts(),
        campaigns=_ranked(campaigns, "campaign", names, statuses),
        campaigns_in_all=campaigns.filter(pl.col("spend") > 0).height,
        ads=_ranked(ads, "ad", names, statuses),
        ads_in_all=ads.filter(pl.col("spend") > 0).height,
        budgets=budgets.get(owner, []) if row.get("currency") == currency else [],
        leaders=mine["top_spenders"].sort("spend", descending=True).to_dicts(),
        newcomers=_newcomers(mine["duplication_candidates"], names),
        restated=_restated(mine["report_restatements"]),
    )


def _newcomers(frame: pl.DataFrame, names: Mapping[str, str]) -> list[Row]:
    """Ads that overtook, the latest first."""
    rows = frame.sort("leads_since", "ad_id", descending=[True, False], nulls_last=True).to_dicts()
    return [{**row, "advertiser_name": names[row["advertiser_id"]]} for row in rows]


def _week(daily: pl.DataFrame, last: date | None) -> Sums:
    return _sums(daily.filter((pl.col("date") > last - WEEK) & (pl.col("date") <= last))) if last else Sums()


def _sums(frame: pl.DataFrame) -> Sums:
    """The sums of what may be summed; a column without a value has none."""
    return Sums(*frame.select(known_sums(METRICS_BY_NAME[name] for name in Sums.__slots__)).row(0))


def _together(parts: Sequence[Sums]) -> Sums:
    columns = {name: pl.Series([getattr(one, name) for one in parts], dtype=kind) for name, kind in _KINDS.items()}
    return _sums(pl.DataFrame(columns))


def _ranked(
    frame: pl.DataFrame, what: str, names: Mapping[str, str], statuses: Mapping[str, str | None]
) -> list[Ranked]:
    total = frame.get_column("spend").sum() or Decimal(0)
    top = (
        frame.filter(pl.col("spend") > 0)
        .sort("spend", f"{what}_id", descending=[True, False])
        .head(RANKED_ROWS)
        .to_dicts()
    )
    return [
        Ranked(
            rank=rank,
            id=row[f"{what}_id"],
            name=row[f"{what}_name"] or row[f"{what}_id"],
            advertiser_name=names[row["advertiser_id"]],
            campaign_name=row["campaign_name"] or "",
            status=statuses.get(row[f"{what}_id"]),
            sums=Sums(*(row[name] for name in Sums.__slots__)),
            share=float(row["spend"] / total) if total else None,
        )
        for rank, row in enumerate(top, 1)
    ]


def _lines(accounts: Sequence[AccountPage]) -> list[Row]:
    """The days of the accounts that spent most, and of all others together."""
    own = accounts if len(accounts) <= LINES_AT_MOST + 1 else accounts[:LINES_AT_MOST]
    taken: set[str] = set()
    lines = []
    for account in own:
        # Two accounts of one name are still two lines.
        series = account.name if account.name not in taken else f"{account.name} ({account.advertiser_id})"
        taken.add(series)
        lines += [{"series": series, **row} for row in account.daily]
    others = accounts[len(own) :]
    by_day: dict[date, list[Row]] = {}
    for account in others:
        for row in account.daily:
            by_day.setdefault(row["date"], []).append(row)
    for day, rows in sorted(by_day.items()):
        sums = _together([Sums(spend=row["spend"], conversion=row["conversion"]) for row in rows])
        whole = all(row["is_complete"] for row in rows)
        lines.append(
            {
                "series": f"{len(others)} other accounts",
                "date": day,
                "spend": sums.spend,
                "conversion": sums.conversion,
                "is_complete": whole,
            }
        )
    return lines


def _restated(frame: pl.DataFrame) -> list[Row]:
    """Days whose numbers changed when they were read again, by day, from the account's own daily report."""
    moved = (pl.col("spend_change") != 0) | (pl.col("conversion_change") != 0)
    again = frame.filter(pl.col("previous_fetched_at").is_not_null() & moved)
    reports = again.get_column("report").unique().to_list()
    report = min(reports, key=lambda name: (name != "advertiser_report_daily", name), default="")
    return (
        again.filter(pl.col("report") == report)
        .group_by("date")
        .agg(
            pl.col("spend_change").sum(),
            pl.col("conversion_change").sum(),
            pl.len().alias("readings"),
            pl.col("fetched_at").max(),
        )
        .sort("date", descending=True)
        .to_dicts()
    )
