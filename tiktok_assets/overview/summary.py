"""Summarize the stored tables into the sections of each currency and account.

Only additive metrics are summed; costs per conversion and click rates are computed from the sums.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.budgets import BudgetUsage, compute_budget_usage
from tiktok_assets.overview.loader import SCHEMAS, OverviewTables
from tiktok_assets.overview.models import AccountSection, CurrencySection, MetricTotals, Overview, RankedRow, Row
from tiktok_assets.spec.metrics import METRICS_BY_NAME
from tiktok_assets.tables.totals import sum_expressions_or_null

WEEK = timedelta(7)
MAX_RANKED_ROWS = 10
MAX_CHART_SERIES = 7

_TOTAL_TYPES = {name: SCHEMAS["daily"][name] for name in MetricTotals.__slots__}


def summarize(stored: OverviewTables, built_at: datetime) -> Overview:
    """The page's contents.

    Args:
        stored: see `stored.read_stored`.
        built_at: aware.
    """
    advertisers = {row["advertiser_id"]: row for row in stored.of("advertisers").to_dicts()}
    budgets = compute_budget_usage(stored)
    owners: dict[str, set[str]] = {}
    for table in ("daily", "campaign_report_lifetime", "advertisers"):
        for row in stored.of(table).select("currency", "advertiser_id").unique().to_dicts():
            # An account without a currency of its own still shows what was read of it.
            owners.setdefault(row["currency"] or "", set()).add(row["advertiser_id"])
    pages = []
    for currency, ids in sorted(owners.items()):
        frames = {table: _filter_currency(stored.of(table), currency) for table in _MONEY_TABLES}
        names = {owner: _get_account_name(advertisers, owner) for owner in ids}
        statuses = _get_statuses(stored)
        accounts = [
            _build_account_section(
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
        pages.append(_build_currency_section(currency, accounts, frames, names, statuses))
    # Currencies cannot be ranked by amount: those in which something was spent come first, then the alphabet.
    pages.sort(key=lambda page: not page.lifetime.spend)
    return Overview(built_at, pages)


_MONEY_TABLES = (
    "daily",
    "campaign_report_lifetime",
    "ad_report_lifetime",
    "top_spenders",
    "duplication_candidates",
    "report_restatements",
)


def _filter_currency(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    return frame.filter(pl.col("currency").fill_null("") == currency)


def _get_account_name(advertisers: Mapping[str, Row], owner: str) -> str:
    return str(advertisers.get(owner, {}).get("name") or owner)


def _get_statuses(stored: OverviewTables) -> Mapping[str, str | None]:
    campaigns = dict(stored.of("campaigns").select("campaign_id", "secondary_status").iter_rows())
    return campaigns | dict(stored.of("ads").select("ad_id", "secondary_status").iter_rows())


def _build_currency_section(
    currency: str,
    accounts: Sequence[AccountSection],
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
) -> CurrencySection:
    lifetime = _sum_rows(frames["campaign_report_lifetime"])
    return CurrencySection(
        currency,
        accounts,
        _add_totals([account.week for account in accounts]),
        _add_totals([account.week_before for account in accounts]),
        lifetime,
        _build_chart_rows(accounts),
        _rank_rows(frames["campaign_report_lifetime"], "campaign", names, statuses),
        _rank_rows(frames["ad_report_lifetime"], "ad", names, statuses),
    )


def _build_account_section(
    owner: str,
    currency: str,
    *,
    row: Row,
    stored: OverviewTables,
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
    budgets: Mapping[str, Sequence[BudgetUsage]],
) -> AccountSection:
    mine = {table: frame.filter(pl.col("advertiser_id") == owner) for table, frame in frames.items()}
    fresh = stored.freshness.get(owner)
    last = fresh.complete_day if fresh else None
    campaigns, ads = mine["campaign_report_lifetime"], mine["ad_report_lifetime"]
    return AccountSection(
        advertiser_id=owner,
        name=names[owner],
        company=row.get("company") or "",
        timezone=row.get("display_timezone") or row.get("timezone") or "",
        currency=currency,
        is_granted=row.get("is_granted") is not False,
        balance=row.get("balance") if row.get("currency") == currency else None,
        freshness=fresh,
        week=_sum_week(mine["daily"], last),
        week_before=_sum_week(mine["daily"], last - WEEK if last else None),
        lifetime=_sum_rows(campaigns),
        daily=mine["daily"].select("date", "spend", "conversion", "is_complete").sort("date").to_dicts(),
        campaigns=_rank_rows(campaigns, "campaign", names, statuses),
        campaigns_in_all=campaigns.filter(pl.col("spend") > 0).height,
        ads=_rank_rows(ads, "ad", names, statuses),
        ads_in_all=ads.filter(pl.col("spend") > 0).height,
        budgets=budgets.get(owner, []) if row.get("currency") == currency else [],
        leaders=mine["top_spenders"].sort("spend", descending=True).to_dicts(),
        newcomers=_list_new_leaders(mine["duplication_candidates"], names),
        restated=_list_restated_days(mine["report_restatements"]),
    )


def _list_new_leaders(frame: pl.DataFrame, names: Mapping[str, str]) -> list[Row]:
    """Ads that overtook, the latest first."""
    rows = frame.sort("leads_since", "ad_id", descending=[True, False], nulls_last=True).to_dicts()
    return [{**row, "advertiser_name": names[row["advertiser_id"]]} for row in rows]


def _sum_week(daily: pl.DataFrame, last: date | None) -> MetricTotals:
    return (
        _sum_rows(daily.filter((pl.col("date") > last - WEEK) & (pl.col("date") <= last)))
        if last
        else MetricTotals()
    )


def _sum_rows(frame: pl.DataFrame) -> MetricTotals:
    """The sums of what may be summed; a column without a value has none."""
    return MetricTotals(
        *frame.select(sum_expressions_or_null(METRICS_BY_NAME[name] for name in MetricTotals.__slots__)).row(0)
    )


def _add_totals(parts: Sequence[MetricTotals]) -> MetricTotals:
    columns = {
        name: pl.Series([getattr(one, name) for one in parts], dtype=kind) for name, kind in _TOTAL_TYPES.items()
    }
    return _sum_rows(pl.DataFrame(columns))


def _rank_rows(
    frame: pl.DataFrame, what: str, names: Mapping[str, str], statuses: Mapping[str, str | None]
) -> list[RankedRow]:
    total = frame.get_column("spend").sum() or Decimal(0)
    top = (
        frame.filter(pl.col("spend") > 0)
        .sort("spend", f"{what}_id", descending=[True, False])
        .head(MAX_RANKED_ROWS)
        .to_dicts()
    )
    return [
        RankedRow(
            rank=rank,
            id=row[f"{what}_id"],
            name=row[f"{what}_name"] or row[f"{what}_id"],
            advertiser_name=names[row["advertiser_id"]],
            campaign_name=row["campaign_name"] or "",
            status=statuses.get(row[f"{what}_id"]),
            sums=MetricTotals(*(row[name] for name in MetricTotals.__slots__)),
            share=float(row["spend"] / total) if total else None,
        )
        for rank, row in enumerate(top, 1)
    ]


def _build_chart_rows(accounts: Sequence[AccountSection]) -> list[Row]:
    """The days of the accounts that spent most, and of all others together."""
    own = accounts if len(accounts) <= MAX_CHART_SERIES + 1 else accounts[:MAX_CHART_SERIES]
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
        sums = _add_totals([MetricTotals(spend=row["spend"], conversion=row["conversion"]) for row in rows])
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


def _list_restated_days(frame: pl.DataFrame) -> list[Row]:
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
