"""Compare the latest seven complete days of each campaign with the seven before."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import polars as pl

from tiktok_assets.overview.budget_usage import BudgetUsage
from tiktok_assets.overview.loader import DAYS_COMPARED, OverviewTables
from tiktok_assets.overview.models import CampaignWeek, MetricTotals
from tiktok_assets.spec import METRICS_BY_NAME
from tiktok_assets.tables import sum_expressions_or_null

MAX_CAMPAIGNS = 500
"""How many campaigns of a currency are on the page, by spend of the two weeks."""

_KEYS = ("advertiser_id", "campaign_id")
_METRICS = MetricTotals.__slots__


def compare_campaigns(
    tables: OverviewTables,
    currency: str,
    *,
    names: Mapping[str, str],
    statuses: Mapping[str, str | None],
    budgets: Mapping[str, Sequence[BudgetUsage]],
) -> tuple[list[CampaignWeek], int]:
    """Compare the campaigns of a currency, largest spend of the week first.

    Args:
        tables: as returned by `loader.load_tables`.
        currency: the currency of the rows to compare.
        names: of the accounts by id.
        statuses: secondary statuses by id.
        budgets: of the active campaigns by account.

    Returns:
        The campaigns with spend in the two weeks, at most `MAX_CAMPAIGNS`, and how many there are.
    """
    weeks = _sum_weeks(tables, currency)
    usages = {usage.campaign_id: usage for one in names for usage in budgets.get(one, ())}
    campaign_names = _get_campaign_names(tables)
    found = [
        CampaignWeek(
            advertiser_id=row["advertiser_id"],
            advertiser_name=names.get(row["advertiser_id"], row["advertiser_id"]),
            id=row["campaign_id"],
            name=campaign_names.get(row["campaign_id"]) or row["campaign_id"],
            status=statuses.get(row["campaign_id"]),
            week=MetricTotals(*(row[f"{name}_week"] for name in _METRICS)),
            week_before=MetricTotals(*(row[f"{name}_before"] for name in _METRICS)),
            budget=usages.get(row["campaign_id"]),
        )
        for row in weeks.to_dicts()
    ]
    found.sort(key=lambda one: (-(one.week.spend or 0), -(one.week_before.spend or 0), one.id))
    return found[:MAX_CAMPAIGNS], len(found)


def _sum_weeks(tables: OverviewTables, currency: str) -> pl.DataFrame:
    """Sum both weeks of each campaign; the weeks end with the latest complete day of the account."""
    ends = {owner: one.complete_day for owner, one in tables.freshness.items() if one.complete_day}
    last = pl.DataFrame(
        {"advertiser_id": list(ends), "last": list(ends.values())}, {"advertiser_id": pl.String, "last": pl.Date}
    )
    rows = (
        tables.get("campaign_report_daily")
        .filter(pl.col("currency").fill_null("") == currency)
        .join(last, on="advertiser_id")
        .with_columns(back=(pl.col("last") - pl.col("date")).dt.total_days())
        .filter(pl.col("back").is_between(0, timedelta(2 * DAYS_COMPARED - 1).days))
    )
    summed = {
        name: rows.filter(chosen)
        .group_by(_KEYS)
        .agg(*sum_expressions_or_null(METRICS_BY_NAME[one] for one in _METRICS))
        for name, chosen in (("week", pl.col("back") < DAYS_COMPARED), ("before", pl.col("back") >= DAYS_COMPARED))
    }
    week, before = (frame.rename({one: f"{one}_{name}" for one in _METRICS}) for name, frame in summed.items())
    joined = week.join(before, on=_KEYS, how="full", coalesce=True)
    return joined.filter((pl.col("spend_week") > 0) | (pl.col("spend_before") > 0))


def _get_campaign_names(tables: OverviewTables) -> Mapping[str, str | None]:
    reported = dict(tables.get("campaign_report_lifetime").select("campaign_id", "campaign_name").iter_rows())
    listed = dict(tables.get("campaigns").select("campaign_id", "campaign_name").iter_rows())
    return reported | {one: name for one, name in listed.items() if name}
