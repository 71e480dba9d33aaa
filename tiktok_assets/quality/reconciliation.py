"""Compare the totals of report levels with each other, and lifetime spend with the sum of the days.

Only additive metrics are summed. Ads may add up to less than their ad group, ad groups to less than their
campaign, and campaigns to less than the account, because some delivery is reported only above the ad (API notes 9, row 16).
A lower level may never add up to more than the level above it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import polars as pl

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.quality.outcome import CheckOutcome, Row
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.totals import single_currency, total_by_currency

Amounts = dict[str, Decimal]
Group = dict[str, str]

SPEND = METRICS_BY_API_NAME["spend"]

_ZERO = Decimal(0)


def compare_levels(
    lower: pl.DataFrame, upper: pl.DataFrame, metrics: Sequence[Metric], tolerance: Decimal, names: tuple[str, str]
) -> CheckOutcome:
    """The rows of a level add up to those of the level above: spend day by day, every metric over all days.

    Args:
        lower: rows of one account at the lower level.
        upper: rows of the same account, for the same days, at the level above.
        metrics: of both; only additive ones are compared.
        tolerance: the share of the larger total by which they may differ.
        names: of the two levels, the lower first.
    """
    sides = [frame.with_columns(side=pl.lit(side)) for side, frame in (("lower", lower), ("upper", upper))]
    rows = pl.concat(sides, how="diagonal_relaxed")
    if rows.is_empty():
        return CheckOutcome()
    compared = [m for m in metrics if m.additive and _is_served(lower, m) and _is_served(upper, m)]
    faults, figures = list[Row](), list[Row]()
    if "date" in rows.columns and SPEND in compared:
        for group, below, above in _pair_totals(rows, [SPEND], ["advertiser_id", "date", "currency"]):
            if _exceeds_tolerance(below["spend"], above["spend"], tolerance):
                faults.append(_difference_row(group, names, "spend", below, above))
    for group, below, above in _pair_totals(rows, compared, ["advertiser_id", "currency"]):
        for metric in compared:
            figures.append(_difference_row({**group, "date": "all"}, names, metric.name, below, above))
            told_by_day = metric.name == "spend" and "date" in rows.columns
            if not told_by_day and _exceeds_tolerance(below[metric.name], above[metric.name], tolerance):
                faults.append(figures[-1])
    return CheckOutcome.of(faults, figures=figures)


def _is_served(frame: pl.DataFrame, metric: Metric) -> bool:
    """Whether the metric came: one that TikTok withdrew is null in every row and says nothing."""
    return frame.is_empty() or frame.get_column(metric.name).null_count() < frame.height


def _pair_totals(
    rows: pl.DataFrame, metrics: Sequence[Metric], by: Sequence[str]
) -> list[tuple[Group, Amounts, Amounts]]:
    """For each group what the level has and what the level above has; a level without rows has nothing."""
    pairs: dict[tuple[str, ...], dict[str, Amounts]] = {}
    for row in total_by_currency(rows, metrics, [*by, "side"]).to_dicts():
        amounts = {metric.name: Decimal(row[metric.name]) for metric in metrics}
        pairs.setdefault(tuple(str(row[name]) for name in by), {})[row["side"]] = amounts
    nothing = {metric.name: _ZERO for metric in metrics}
    return [
        (dict(zip(by, group, strict=True)), sides.get("lower", nothing), sides.get("upper", nothing))
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


def _format_percent(gap: Decimal, whole: Decimal) -> str:
    """A gap in percent of the whole, for people; "" where there is nothing to be a part of."""
    return f"{100 * gap / whole:.2f}" if whole else ""


def compare_lifetime_with_days(
    lifetime: pl.DataFrame,
    daily: pl.DataFrame,
    window: DateWindow,
    account: Account,
    tolerance: Decimal,
) -> CheckOutcome:
    """The lifetime spend of an account is the sum of its days, all of which are stored.

    Today is in the life and not among the days, so each day between the last one stored and the reading of the
    lifetime report may have cost as much as the dearest one stored.

    Args:
        lifetime: rows of the lifetime report of one account.
        daily: every stored day of the daily report of the same level.
        window: the days stored, from the account's first, without a hole.
        account: whose.
        tolerance: the share of the larger total by which they may differ.
    """
    if lifetime.is_empty():
        return CheckOutcome()
    if currencies := list_mixed_currencies(lifetime, daily):
        return CheckOutcome(notes=(f"{account.advertiser_id} was not judged: its days are in {currencies}",))
    if not (_is_served(lifetime, SPEND) and _is_served(daily, SPEND)):
        return CheckOutcome(notes=(f"{account.advertiser_id} was not judged: TikTok served no spend",))
    read_at = lifetime.get_column("fetched_at").max()
    assert isinstance(read_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
    life, days = _total_spend(lifetime), _total_spend(daily)
    dearest = max(
        (Decimal(amount) for amount in total_by_currency(daily, [SPEND], ["date"]).get_column("spend")),
        default=_ZERO,
    )
    beyond = max((account.today(read_at) - window.last).days, 0) * dearest
    slack = tolerance * max(life, days)
    group = {"advertiser_id": account.advertiser_id, "date": str(window), "currency": account.currency}
    row = _difference_row(group, ("days", "life"), "spend", {"spend": days}, {"spend": life})
    is_right = -slack <= life - days <= slack + beyond
    return CheckOutcome.of([] if is_right else [row], figures=[row])


def list_mixed_currencies(*frames: pl.DataFrame) -> str:
    """The currencies of the rows together, in words; "" where there is no more than one."""
    found = sorted({code for one in frames for code in one.get_column("currency").drop_nulls().unique()})
    return " and ".join(found) if len(found) > 1 else ""


def drop_mixed_currency_groups(
    lower: pl.DataFrame, upper: pl.DataFrame, by: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of the groups that both levels hold in one and the same currency, or only one of them holds.

    An account that changes its currency leaves groups of which one level was read before and one after.
    """
    both = pl.concat([one.select(*by, "currency").drop_nulls() for one in (lower, upper)]).unique()
    mixed = both.group_by(by).len().filter(pl.col("len") > 1).select(by)
    return lower.join(mixed, on=by, how="anti"), upper.join(mixed, on=by, how="anti")


def _total_spend(frame: pl.DataFrame) -> Decimal:
    """What one account spent; all of it in one currency."""
    single_currency(frame)
    return sum((Decimal(amount) for amount in total_by_currency(frame, [SPEND]).get_column("spend")), _ZERO)


def find_first_day(created_at: datetime | None, account: Account) -> date | None:
    """The account's first calendar day; None where the host does not say when it was created."""
    return account.today(created_at) if created_at else None
