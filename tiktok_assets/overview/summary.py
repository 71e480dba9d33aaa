"""Summarize the stored tables into the sections of each currency and account.

Only additive metrics are summed; costs per conversion and click rates are computed from the sums.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import polars as pl

from tiktok_assets.overview.budget_usage import BudgetUsage, compute_budget_usage
from tiktok_assets.overview.campaign_weeks import compare_campaigns
from tiktok_assets.overview.changes import list_changes
from tiktok_assets.overview.loader import SCHEMAS, OverviewTables
from tiktok_assets.overview.models import (
    AccountSection,
    CampaignWeek,
    CurrencySection,
    MetricTotals,
    Overview,
    RankedRow,
    Row,
)
from tiktok_assets.overview.pacing import compute_pacing
from tiktok_assets.overview.wall import Creative, build_wall
from tiktok_assets.spec import METRICS_BY_NAME
from tiktok_assets.tables import sum_expressions_or_null

WEEK = timedelta(7)
MAX_RANKED_ROWS = 10
MAX_CHART_SERIES = 7

_TOTAL_TYPES = {name: SCHEMAS["daily"][name] for name in MetricTotals.__slots__}


def summarize(tables: OverviewTables, built_at: datetime) -> Overview:
    """Summarize the tables into the contents of the page.

    Args:
        tables: as returned by `loader.load_tables`.
        built_at: timezone-aware.
    """
    advertisers = {row["advertiser_id"]: row for row in tables.get("advertisers").to_dicts()}
    budgets = compute_budget_usage(tables)
    accounts_by_currency: dict[str, set[str]] = {}
    for name in ("daily", "campaign_report_lifetime", "advertisers"):
        for row in tables.get(name).select("currency", "advertiser_id").unique().to_dicts():
            # An account whose row has no currency is still shown with its reports.
            accounts_by_currency.setdefault(row["currency"] or "", set()).add(row["advertiser_id"])
    sections = []
    for currency, ids in sorted(accounts_by_currency.items()):
        frames = {name: _filter_currency(tables.get(name), currency) for name in _MONEY_TABLES}
        frames_by_account = {
            name: frame.partition_by("advertiser_id", as_dict=True) for name, frame in frames.items()
        }
        names = {advertiser_id: _get_account_name(advertisers, advertiser_id) for advertiser_id in ids}
        statuses = _get_statuses(tables)
        accounts = [
            _build_account_section(
                advertiser_id,
                currency,
                row=advertisers.get(advertiser_id, {}),
                tables=tables,
                frames={
                    name: of_accounts.get((advertiser_id,), frames[name].clear())
                    for name, of_accounts in frames_by_account.items()
                },
                names=names,
                statuses=statuses,
                budgets=budgets,
            )
            for advertiser_id in ids
        ]
        accounts.sort(key=lambda one: (-(one.week.spend or 0), -(one.lifetime.spend or 0), one.name))
        current = {
            one: budgets.get(one, ()) for one in ids if advertisers.get(one, {}).get("currency") == currency
        }
        compared = compare_campaigns(tables, currency, names=names, statuses=statuses, budgets=current)
        wall = build_wall(tables, currency, names)
        sections.append(
            _build_currency_section(
                currency, accounts, frames=frames, names=names, statuses=statuses, compared=compared, wall=wall
            )
        )
    # Amounts of different currencies cannot be compared: currencies with spend come first, then alphabetically.
    sections.sort(key=lambda section: not section.lifetime.spend)
    all_accounts = [account for section in sections for account in section.accounts]
    changes = list_changes(all_accounts, tables.get("creative_declines").to_dicts(), built_at)
    return Overview(built_at, sections, changes)


_MONEY_TABLES = (
    "daily",
    "campaign_report_daily",
    "campaign_report_lifetime",
    "ad_report_lifetime",
    "top_spenders",
    "duplication_candidates",
    "report_restatements",
)


def _filter_currency(frame: pl.DataFrame, currency: str) -> pl.DataFrame:
    return frame.filter(pl.col("currency").fill_null("") == currency)


def _get_account_name(advertisers: Mapping[str, Row], advertiser_id: str) -> str:
    return str(advertisers.get(advertiser_id, {}).get("name") or advertiser_id)


def _get_statuses(tables: OverviewTables) -> Mapping[str, str | None]:
    campaigns = dict(tables.get("campaigns").select("campaign_id", "secondary_status").iter_rows())
    return campaigns | dict(tables.get("ads").select("ad_id", "secondary_status").iter_rows())


def _build_currency_section(
    currency: str,
    accounts: Sequence[AccountSection],
    *,
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
    compared: tuple[Sequence[CampaignWeek], int],
    wall: Sequence[Creative],
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
        *compared,
        wall=wall,
    )


def _build_account_section(
    advertiser_id: str,
    currency: str,
    *,
    row: Row,
    tables: OverviewTables,
    frames: Mapping[str, pl.DataFrame],
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
    budgets: Mapping[str, Sequence[BudgetUsage]],
) -> AccountSection:
    freshness = tables.freshness.get(advertiser_id)
    last_day = freshness.complete_day if freshness else None
    usages = budgets.get(advertiser_id, []) if row.get("currency") == currency else []
    campaigns, ads = frames["campaign_report_lifetime"], frames["ad_report_lifetime"]
    return AccountSection(
        advertiser_id=advertiser_id,
        name=names[advertiser_id],
        company=row.get("company") or "",
        timezone=row.get("display_timezone") or row.get("timezone") or "",
        currency=currency,
        is_granted=row.get("is_granted") is not False,
        balance=row.get("balance") if row.get("currency") == currency else None,
        freshness=freshness,
        week=_sum_week(frames["daily"], last_day),
        week_before=_sum_week(frames["daily"], last_day - WEEK if last_day else None),
        lifetime=_sum_rows(campaigns),
        daily=frames["daily"].select("date", "spend", "conversion", "is_complete").sort("date").to_dicts(),
        campaigns=_rank_rows(campaigns, "campaign", names, statuses),
        campaign_count=campaigns.filter(pl.col("spend") > 0).height,
        ads=_rank_rows(ads, "ad", names, statuses),
        ad_count=ads.filter(pl.col("spend") > 0).height,
        budgets=usages,
        top_spenders=frames["top_spenders"].sort("spend", descending=True).to_dicts(),
        new_leaders=_list_new_leaders(frames["duplication_candidates"], names),
        restated_days=_list_restated_days(frames["report_restatements"]),
        unreported=tables.unreported.get(advertiser_id, ()),
        pacing=compute_pacing(freshness, frames["daily"], frames["campaign_report_daily"], usages),
    )


def _list_new_leaders(frame: pl.DataFrame, names: Mapping[str, str]) -> list[Row]:
    """List the ads that became top spender, latest first."""
    rows = frame.sort("leads_since", "ad_id", descending=[True, False], nulls_last=True).to_dicts()
    return [{**row, "advertiser_name": names[row["advertiser_id"]]} for row in rows]


def _sum_week(daily: pl.DataFrame, last: date | None) -> MetricTotals:
    return (
        _sum_rows(daily.filter((pl.col("date") > last - WEEK) & (pl.col("date") <= last)))
        if last
        else MetricTotals()
    )


def _sum_rows(frame: pl.DataFrame) -> MetricTotals:
    """Sum the additive metrics; a column without values has no sum."""
    return MetricTotals(
        *frame.select(sum_expressions_or_null(METRICS_BY_NAME[name] for name in MetricTotals.__slots__)).row(0)
    )


def _add_totals(totals: Sequence[MetricTotals]) -> MetricTotals:
    columns = {
        name: pl.Series([getattr(one, name) for one in totals], dtype=dtype)
        for name, dtype in _TOTAL_TYPES.items()
    }
    return _sum_rows(pl.DataFrame(columns))


def _rank_rows(
    frame: pl.DataFrame, kind: str, names: Mapping[str, str], statuses: Mapping[str, str | None]
) -> list[RankedRow]:
    total = frame.get_column("spend").sum() or Decimal(0)
    top = (
        frame.filter(pl.col("spend") > 0)
        .sort("spend", f"{kind}_id", descending=[True, False])
        .head(MAX_RANKED_ROWS)
        .to_dicts()
    )
    return [
        RankedRow(
            rank=rank,
            id=row[f"{kind}_id"],
            name=row[f"{kind}_name"] or row[f"{kind}_id"],
            advertiser_name=names[row["advertiser_id"]],
            campaign_name=row["campaign_name"] or "",
            status=statuses.get(row[f"{kind}_id"]),
            totals=MetricTotals(*(row[name] for name in MetricTotals.__slots__)),
            share=float(row["spend"] / total) if total else None,
        )
        for rank, row in enumerate(top, 1)
    ]


def _build_chart_rows(accounts: Sequence[AccountSection]) -> list[Row]:
    """Build the rows of the chart: a series for each of the top accounts, and one for all others together."""
    charted = accounts if len(accounts) <= MAX_CHART_SERIES + 1 else accounts[:MAX_CHART_SERIES]
    series_names: set[str] = set()
    rows: list[Row] = []
    for account in charted:
        # Two accounts with the same name are still two series.
        series = account.name if account.name not in series_names else f"{account.name} ({account.advertiser_id})"
        series_names.add(series)
        rows += [{"series": series, **row} for row in account.daily]
    others = accounts[len(charted) :]
    by_day: dict[date, list[Row]] = {}
    for account in others:
        for row in account.daily:
            by_day.setdefault(row["date"], []).append(row)
    for day, day_rows in sorted(by_day.items()):
        totals = _add_totals([MetricTotals(spend=row["spend"], conversion=row["conversion"]) for row in day_rows])
        rows.append(
            {
                "series": f"{len(others)} other accounts",
                "date": day,
                "spend": totals.spend,
                "conversion": totals.conversion,
                "is_complete": all(row["is_complete"] for row in day_rows),
            }
        )
    return rows


def _list_restated_days(frame: pl.DataFrame) -> list[Row]:
    """List the days whose metrics changed when read again, preferably from the account's daily report."""
    has_changed = (pl.col("spend_change") != 0) | (pl.col("conversion_change") != 0)
    changes = frame.filter(pl.col("previous_fetched_at").is_not_null() & has_changed)
    reports = changes.get_column("report").unique().to_list()
    report = min(reports, key=lambda name: (name != "advertiser_report_daily", name), default="")
    return (
        changes.filter(pl.col("report") == report)
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
