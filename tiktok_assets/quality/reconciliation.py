"""Compare the totals of report levels with each other, and lifetime spend with the sum of the days.

Only additive metrics are summed. Ads may add up to less than their ad group, ad groups to less than their
campaign, and campaigns to less than the account, because some delivery is reported only above the ad (API notes 9,
row 16). A lower level may never add up to more than the level above it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api import DateWindow
from tiktok_assets.quality.outcome import CheckOutcome, Row
from tiktok_assets.spec import METRICS_BY_API_NAME, Metric
from tiktok_assets.tables import Account, single_currency, total_by_currency

Amounts = dict[str, Decimal]
Group = dict[str, str]

SPEND = METRICS_BY_API_NAME["spend"]

CENT = Decimal("0.01")

_ZERO = Decimal(0)


def compare_levels(
    lower: pl.DataFrame, upper: pl.DataFrame, metrics: Sequence[Metric], tolerance: Decimal, names: tuple[str, str]
) -> CheckOutcome:
    """Check that a level adds up to the level above: spend on each day, every additive metric over all days.

    Args:
        lower: rows of one account at the lower level.
        upper: rows of the same account and days at the level above.
        metrics: the metrics of both; only additive ones are compared.
        tolerance: the permitted difference as a share of the larger total (0.02 is 2 %).
        names: the names of the two levels, the lower first.
    """
    sides = [frame.with_columns(side=pl.lit(side)) for side, frame in (("lower", lower), ("upper", upper))]
    rows = pl.concat(sides, how="diagonal_relaxed")
    if rows.is_empty():
        return CheckOutcome()
    compared = [m for m in metrics if m.is_additive and _is_served(lower, m) and _is_served(upper, m)]
    faults, figures = list[Row](), list[Row]()
    if "date" in rows.columns and SPEND in compared:
        for group, below, above in _pair_totals(rows, [SPEND], ["advertiser_id", "date", "currency"]):
            if _exceeds_tolerance(below["spend"], above["spend"], tolerance):
                faults.append(_difference_row(group, names, "spend", below, above))
    for group, below, above in _pair_totals(rows, compared, ["advertiser_id", "currency"]):
        for metric in compared:
            figures.append(_difference_row({**group, "date": "all"}, names, metric.name, below, above))
            is_checked_by_day = metric.name == "spend" and "date" in rows.columns
            if not is_checked_by_day and _exceeds_tolerance(below[metric.name], above[metric.name], tolerance):
                faults.append(figures[-1])
    return CheckOutcome.from_faults(faults, figures=figures)


def compare_objects(
    lower: pl.DataFrame,
    upper: pl.DataFrame,
    metrics: Sequence[Metric],
    by: Sequence[str],
    names: tuple[str, str],
    *,
    tolerance: Decimal | None,
) -> CheckOutcome:
    """Check that the parts of each object add up to it, in every additive metric.

    Args:
        lower: rows of the parts, of one account.
        upper: rows of the objects, of the same account and days.
        metrics: the metrics of both; only additive ones are compared.
        by: the columns that name an object, with the day of daily reports.
        names: what the two are, the parts first.
        tolerance: the permitted difference as a share of the larger total; None for less than a cent.
    """
    rows = pl.concat(
        [frame.with_columns(side=pl.lit(side)) for side, frame in (("lower", lower), ("upper", upper))],
        how="diagonal_relaxed",
    )
    if rows.is_empty():
        return CheckOutcome()
    compared = [m for m in metrics if m.is_additive and _is_served(lower, m) and _is_served(upper, m)]
    faults = [
        _difference_row(group, names, metric.name, below, above)
        for group, below, above in _pair_totals(rows, compared, [*by, "currency"])
        for metric in compared
        if (
            abs(above[metric.name] - below[metric.name]) >= CENT
            if tolerance is None
            else _exceeds_tolerance(below[metric.name], above[metric.name], tolerance)
        )
    ]
    figures = [
        _difference_row({**group, "date": "all"}, names, metric.name, below, above)
        for group, below, above in _pair_totals(rows, compared, ["advertiser_id", "currency"])
        for metric in compared
    ]
    return CheckOutcome.from_faults(faults, figures=figures)


def keep_complete_days(lower: pl.DataFrame, upper: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop the days that are incomplete at either level, since they may have changed between the two reads."""
    incomplete = [one.filter(~pl.col("is_complete")).get_column("date") for one in (lower, upper)]
    is_complete = ~pl.col("date").is_in(pl.concat(incomplete).unique().implode())
    return lower.filter(is_complete), upper.filter(is_complete)


def _is_served(frame: pl.DataFrame, metric: Metric) -> bool:
    """Return whether TikTok served the metric; a refused metric is null in every row."""
    return frame.is_empty() or frame.get_column(metric.name).null_count() < frame.height


def _pair_totals(
    rows: pl.DataFrame, metrics: Sequence[Metric], by: Sequence[str]
) -> list[tuple[Group, Amounts, Amounts]]:
    """Return each group with its totals at the lower and the upper level; zeros for a level without rows."""
    pairs: dict[tuple[str, ...], dict[str, Amounts]] = {}
    for row in total_by_currency(rows, metrics, [*by, "side"]).to_dicts():
        amounts = {metric.name: Decimal(row[metric.name]) for metric in metrics}
        pairs.setdefault(tuple(str(row[name]) for name in by), {})[row["side"]] = amounts
    zeros = {metric.name: _ZERO for metric in metrics}
    return [
        (dict(zip(by, group, strict=True)), sides.get("lower", zeros), sides.get("upper", zeros))
        for group, sides in sorted(pairs.items())
    ]


def _exceeds_tolerance(below: Decimal, above: Decimal, tolerance: Decimal) -> bool:
    return abs(above - below) > tolerance * max(abs(above), abs(below))


def _difference_row(group: Group, names: tuple[str, str], metric: str, below: Amounts, above: Amounts) -> Row:
    lower, upper = below[metric], above[metric]
    return {
        **group,
        "levels": " of ".join(names),
        "metric": metric,
        "lower": str(lower),
        "upper": str(upper),
        "gap": str(upper - lower),
        "percent": _format_percent(upper - lower, upper),
    }


def _format_percent(gap: Decimal, total: Decimal) -> str:
    """Return a gap in percent of the total, with two decimals; "" if the total is zero."""
    return f"{100 * gap / total:.2f}" if total else ""


def compare_lifetime_with_days(
    lifetime: pl.DataFrame,
    daily: pl.DataFrame,
    window: DateWindow,
    account: Account,
    tolerance: Decimal,
) -> CheckOutcome:
    """Check that the lifetime spend of an account is the sum of its days, all of which are stored.

    The lifetime report includes today, which is not among the stored days. So the lifetime spend may be higher by
    the highest daily spend for each day between the last stored one and the reading of the lifetime report.

    Args:
        lifetime: rows of the lifetime report of one account.
        daily: all stored rows of the daily report of the same level.
        window: the stored days, from the first day of the account, without gaps.
        account: the account.
        tolerance: the permitted difference as a share of the larger total.
    """
    if lifetime.is_empty():
        return CheckOutcome()
    if currencies := list_mixed_currencies(lifetime, daily):
        return CheckOutcome(notes=(f"{account.advertiser_id} was not checked: its days are in {currencies}",))
    if not (_is_served(lifetime, SPEND) and _is_served(daily, SPEND)):
        return CheckOutcome(notes=(f"{account.advertiser_id} was not checked: TikTok served no spend",))
    read_at = lifetime.get_column("fetched_at").max()
    assert isinstance(read_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
    lifetime_spend, spend_of_days = _total_spend(lifetime), _total_spend(daily)
    highest_day = max(
        (Decimal(amount) for amount in total_by_currency(daily, [SPEND], ["date"]).get_column("spend")),
        default=_ZERO,
    )
    later_spend = max((account.today(read_at) - window.last).days, 0) * highest_day
    slack = tolerance * max(lifetime_spend, spend_of_days)
    group = {"advertiser_id": account.advertiser_id, "date": str(window), "currency": account.currency}
    row = _difference_row(
        group, ("days", "lifetime"), "spend", {"spend": spend_of_days}, {"spend": lifetime_spend}
    )
    is_within = -slack <= lifetime_spend - spend_of_days <= slack + later_spend
    return CheckOutcome.from_faults([] if is_within else [row], figures=[row])


def list_mixed_currencies(*frames: pl.DataFrame) -> str:
    """Return the currencies of all rows joined by "and"; "" if there is only one."""
    found = sorted({code for one in frames for code in one.get_column("currency").drop_nulls().unique()})
    return " and ".join(found) if len(found) > 1 else ""


def drop_mixed_currency_groups(
    lower: pl.DataFrame, upper: pl.DataFrame, by: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Drop the groups whose rows are in different currencies at the two levels.

    They occur if one level was read before the account changed its currency, and the other after.
    """
    both = pl.concat([one.select(*by, "currency").drop_nulls() for one in (lower, upper)]).unique()
    mixed = both.group_by(by).len().filter(pl.col("len") > 1).select(by)
    return lower.join(mixed, on=by, how="anti"), upper.join(mixed, on=by, how="anti")


def _total_spend(frame: pl.DataFrame) -> Decimal:
    """Return the spend of one account; all rows must be in one currency."""
    single_currency(frame)
    return sum((Decimal(amount) for amount in total_by_currency(frame, [SPEND]).get_column("spend")), _ZERO)


def find_first_day(created_at: datetime | None, account: Account) -> date | None:
    """Return the first calendar day of an account; None if the host does not return when it was created."""
    return account.today(created_at) if created_at else None
