"""Compare the rate of each creative over its last seven days with every seven days before them.

A z-test of two rates on the logarithm of their ratio (Katz et al. 1978). Its variance has a part for counting and
a part for how much the rate differs from day to day anyway (Williams 1982), which is estimated from successive
days (von Neumann et al. 1941) and enlarged where weeks differ more than independent days would make them (Allan
1966). The start of a fall is the most likely change point (Hinkley 1970). See docs/fatigue.md.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from tiktok_assets.creatives.columns import RATES

WINDOW_DAYS = 7
"""Both compared windows have each weekday once."""

HISTORY_DAYS = 90
"""How far back the best seven days are searched."""

MIN_DAYS_SHOWN = 4
"""On how many of its days a window must have impressions."""

MIN_EXPECTED_COUNT = 10
"""How many views or clicks each window must be expected to have; with fewer the normal approximation is poor."""

MIN_DAY_VARIATION = 0.05
"""No rate is taken to be steadier from day to day than this share of it."""

MIN_PAIRS_OF_DAYS = 6
"""From how many pairs of successive days the variation is estimated at least."""

_SQUARED_DIFFERENCE_EFFICIENCY = 2 / 3
"""Degrees of freedom per pair of successive days (von Neumann et al. 1941)."""

_MEDIAN_OF_SQUARED_NORMAL = 0.4549

CREATIVE_KEYS = ("creative_id", "creative_kind")


def sum_days(days: pl.DataFrame, metric: str, last: date) -> pl.DataFrame:
    """Return spend, numerator (`x`) and denominator (`n`) of a rate by creative and day, and the square of `n`.

    A day on which the numerator was not read is left out: the rate is not known there.
    """
    rate = RATES[metric]
    return (
        days.filter(
            pl.col("date").is_between(last - timedelta(HISTORY_DAYS - 1), last),
            pl.col(rate.numerator).is_not_null(),
            pl.col(rate.denominator) > 0,
        )
        .select(
            *CREATIVE_KEYS,
            "currency",
            "date",
            "spend",
            x=pl.col(rate.numerator).cast(pl.Float64),
            n=pl.col(rate.denominator).cast(pl.Float64),
        )
        .with_columns(nn=pl.col("n") ** 2)
    )


def _sum_windows(rows: pl.DataFrame, last: date, since: Mapping[str, date]) -> pl.DataFrame:
    """Sum every seven days of each creative; `date` is the first of them."""
    first = last - timedelta(HISTORY_DAYS - 1)
    began = pl.DataFrame(
        {"creative_id": list(since), "began": list(since.values())},
        {"creative_id": pl.String(), "began": pl.Date()},
    )
    calendar = pl.DataFrame({"date": pl.date_range(first, last, eager=True)})
    owner = [*CREATIVE_KEYS, "currency"]
    born = rows.group_by(owner).agg(born=pl.col("date").min())
    return (
        born.select(owner)
        .join(calendar, how="cross")
        .join(rows, on=[*owner, "date"], how="left")
        .sort(*owner, "date")
        .rolling("date", period=f"{WINDOW_DAYS}d", group_by=owner)
        .agg(pl.col("spend", "x", "n", "nn").sum(), days=pl.col("n").count())
        .with_columns(pl.col("date") - timedelta(WINDOW_DAYS - 1))
        .join(born, on=owner)
        .join(began, on="creative_id", how="left")
        .filter(pl.col("days") >= MIN_DAYS_SHOWN, pl.col("date") >= pl.max_horizontal("began", "born"))
    )


def compare_windows(
    rows: pl.DataFrame, metric: str, last: date, since: Mapping[str, date], min_spend: Decimal
) -> pl.DataFrame:
    """Compare each creative's last seven days (`_2`) with all seven days before them that have enough data.

    Args:
        rows: see `sum_days`.
        metric: the name of the rate.
        last: the last complete day.
        since: by creative the first day that counts for it.
        min_spend: what both windows must have spent.

    Returns:
        A row for each comparison, with both rates and `z`, by how many standard errors the rate fell.
    """
    recent_from = last - timedelta(WINDOW_DAYS - 1)
    windows = _sum_windows(rows, last, since).filter(pl.col("spend") >= min_spend)
    variation = _estimate_variation(rows)
    recent = windows.filter(pl.col("date") == recent_from).select(
        *CREATIVE_KEYS, pl.col("spend", "x", "n", "nn").name.suffix("_2")
    )
    x, n, x_recent, n_recent = (pl.col(name) for name in ("x", "n", "x_2", "n_2"))
    freedom = pl.col("freedom")
    # Half a view more, so that a rate of zero has a logarithm.
    t = (x / n / ((x_recent + 0.5) / n_recent)).log() / (
        _VARIANCE * _estimate_persistence(windows, variation)
    ).sqrt()
    return (
        windows.filter(pl.col("date") <= recent_from - timedelta(WINDOW_DAYS))
        .join(recent, on=CREATIVE_KEYS)
        .join(variation, on=CREATIVE_KEYS)
        .filter(pl.min_horizontal(n, n_recent) * _POOLED >= MIN_EXPECTED_COUNT, x > 0)
        .with_columns(t=t)
        .select(
            *(*CREATIVE_KEYS, "currency", "date", "spend", "spend_2", "n", "n_2", "variation"),
            pl.lit(metric).alias("metric"),
            (x / n).alias("rate"),
            (x_recent / n_recent).alias("rate_2"),
            # Student's t as a normal deviate (Wallace 1959).
            z=pl.col("t").sign()
            * (8 * freedom + 1)
            / (8 * freedom + 3)
            * (freedom * (1 + pl.col("t") ** 2 / freedom).log()).sqrt(),
        )
    )


_POOLED = (pl.col("x") + pl.col("x_2")) / (pl.col("n") + pl.col("n_2"))
_VARIANCE = pl.col("variation") * (pl.col("nn") / pl.col("n") ** 2 + pl.col("nn_2") / pl.col("n_2") ** 2) + (
    1 - _POOLED
) / _POOLED * (1 / pl.col("n") + 1 / pl.col("n_2"))
"""The variance of the logarithm of the ratio of two windows' rates, if days are independent."""


def _estimate_persistence(windows: pl.DataFrame, variation: pl.DataFrame) -> float:
    """Estimate how many times more successive weeks differ than if days were independent, at least 1.

    This is the Allan variance at seven days, as a part of what is expected. It is a median over all creatives of
    the account, so that the declines among them do not count.
    """
    following = windows.select(
        *CREATIVE_KEYS, pl.col("date") - timedelta(WINDOW_DAYS), pl.col("x", "n", "nn").name.suffix("_2")
    )
    squares = (
        windows.join(following, on=[*CREATIVE_KEYS, "date"])
        .join(variation, on=CREATIVE_KEYS)
        .filter(pl.min_horizontal("x", "x_2") >= MIN_EXPECTED_COUNT)
        .select((pl.col("x") / pl.col("n") / (pl.col("x_2") / pl.col("n_2"))).log() ** 2 / _VARIANCE)
        .to_series()
    )
    median = squares.median()
    return max(1.0, median / _MEDIAN_OF_SQUARED_NORMAL) if isinstance(median, float) else 1.0


def _estimate_variation(rows: pl.DataFrame) -> pl.DataFrame:
    """Estimate by creative the variance of the rate from day to day beyond counting, as a share of it squared.

    Successive days are compared, so that a decline itself is not taken for variation.
    """
    pairs = (
        rows.sort(*CREATIVE_KEYS, "date")
        .with_columns(pl.col("x", "n").shift(1).over(*CREATIVE_KEYS).name.suffix("_2"))
        .drop_nulls("n_2")
        .filter(pl.col("x") + pl.col("x_2") > 0)
        .with_columns(inverse=1 / pl.col("n") + 1 / pl.col("n_2"))
    )
    difference = (pl.col("x") / pl.col("n") - pl.col("x_2") / pl.col("n_2")) / _POOLED
    excess, weight = (difference**2 - (1 - _POOLED) / _POOLED * pl.col("inverse")) / 2, 1 / pl.col("inverse")
    return (
        pairs.with_columns(excess=excess, weight=weight)
        .group_by(*CREATIVE_KEYS)
        .agg(
            ((pl.col("excess") * pl.col("weight")).sum() / pl.col("weight").sum())
            .clip(MIN_DAY_VARIATION**2)
            .alias("variation"),
            (pl.col("weight").sum() ** 2 / (pl.col("weight") ** 2).sum() * _SQUARED_DIFFERENCE_EFFICIENCY).alias(
                "freedom"
            ),
            pl.len().alias("pairs"),
        )
        .filter(pl.col("pairs") >= MIN_PAIRS_OF_DAYS)
    )


def find_change(days: pl.DataFrame, found: dict[str, Any], last: date) -> date:
    """Return the first day of the lower rate: where two constant rates fit the days best."""
    rows = (
        sum_days(days, found["metric"], last)
        .filter(*(pl.col(key) == found[key] for key in CREATIVE_KEYS), pl.col("date") >= found["date"])
        .sort("date")
        .to_dicts()
    )
    counting = (1 - found["rate"]) / found["rate"]
    weights = [1 / (found["variation"] + counting / row["n"]) for row in rows]
    values = [row["x"] / row["n"] for row in rows]
    days_of_rows: list[date] = [row["date"] for row in rows]
    return days_of_rows[max(range(1, len(rows)), key=lambda split: _measure_split(weights, values, split))]


def _measure_split(weights: Sequence[float], values: Sequence[float], split: int) -> float:
    """Return by how much two means, before and from a position on, fit better than one; 0 if the rate rose."""
    sums = [
        (sum(weights[part]), sum(w * v for w, v in zip(weights[part], values[part], strict=True)))
        for part in (slice(None, split), slice(split, None))
    ]
    (before, of_before), (after, of_after) = sums
    fall = of_before / before - of_after / after
    return fall**2 * before * after / (before + after) if fall > 0 else 0.0
