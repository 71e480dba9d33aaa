"""Find the creatives whose hook rate or click rate has fallen against their own best seven days.

The rates are compared in `rate_comparison`; here the threshold is corrected for the number of comparisons (Dunn
1961), and a fall counts only if it is large and spend or impressions rose meanwhile. See docs/fatigue.md.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from statistics import NormalDist
from typing import Any

import polars as pl

from tiktok_assets.creatives.columns import RATES
from tiktok_assets.creatives.rate_comparison import (
    CREATIVE_KEYS,
    WINDOW_DAYS,
    compare_windows,
    find_change,
    sum_days,
)
from tiktok_assets.settings import Settings

FALLING_RATES = ("hook_rate", "ctr")

FALSE_ALARMS = 0.01
"""The probability that a morning of an account without any decline finds one, over all its comparisons."""

CLOSED_AFTER = timedelta(days=2, hours=4)
"""A day read so long after its date began in UTC was complete in every time zone."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as a decline.

    Attributes:
        min_drop: by which share a rate must have fallen; 0 switches the search off.
        min_spend: how much a creative must have spent in each of the two windows, in the account's currency.
        min_rise: by which share spend or impressions must have risen between them.
    """

    min_drop: float
    min_spend: Decimal
    min_rise: float

    @classmethod
    def from_settings(cls, settings: Settings) -> "Thresholds":
        """Take the thresholds from the settings."""
        return cls(
            float(settings.fatigue_drop),
            settings.fatigue_min_spend,
            float(settings.fatigue_rise),
        )


@dataclass(frozen=True, slots=True)
class Decline:
    """A creative whose rate has fallen.

    Attributes:
        creative_id: the creative.
        creative_kind: its kind.
        currency: of the amounts.
        metric: the rate that fell most clearly: `hook_rate` or `ctr`.
        best_from: the first of its best seven days.
        best_rate: the rate over them, in percent.
        recent_from: the first of the last seven complete days.
        recent_rate: the rate over these, in percent.
        since: the day on which the rate fell, most likely.
        z: how many standard errors the fall is.
        z_threshold: how many it had to be.
        best_spend: spend of its best seven days.
        recent_spend: spend of the last seven.
        best_impressions: impressions of its best seven days.
        recent_impressions: impressions of the last seven.
        other_rates: the other rate over both windows, if it fell too.
    """

    creative_id: str
    creative_kind: str
    currency: str
    metric: str
    best_from: date
    best_rate: float
    recent_from: date
    recent_rate: float
    since: date
    z: float
    z_threshold: float
    best_spend: Decimal
    recent_spend: Decimal
    best_impressions: int
    recent_impressions: int
    other_rates: tuple[float, float] | None = None

    @property
    def drop(self) -> float:
        """By which share the rate has fallen."""
        return 1 - self.recent_rate / self.best_rate


def select_closed_days(days: pl.DataFrame, complete: Collection[date]) -> pl.DataFrame:
    """Keep the rows of days that are known to be complete, in the currency of the newest of them.

    Args:
        days: rows of `creative_daily` of one account.
        complete: days known to be complete; older ones count if they were read long enough after they ended.
    """
    last = max(complete, default=date.min)
    began = pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    closed = days.filter(
        (pl.col("date") <= last)
        & (
            pl.col("date").is_in(list(complete))
            | (pl.col("fetched_at").cast(pl.Datetime("us", "UTC")) >= began + CLOSED_AFTER)
        )
    )
    newest = closed.sort("date").get_column("currency").last() if closed.height else None
    return closed.filter(pl.col("currency").eq_missing(pl.lit(newest, pl.String)))


def find_declines(
    days: pl.DataFrame, last: date, thresholds: Thresholds, since: Mapping[str, date] | None = None
) -> list[Decline]:
    """Find the creatives that are in decline on a day, the largest spend first.

    Args:
        days: rows of `creative_daily` of one account in one currency, of complete days only.
        last: the last complete day.
        thresholds: what counts as a decline.
        since: by creative the first day that counts for it, after an earlier decline ended.
    """
    if thresholds.min_drop <= 0:
        return []
    candidates = [
        compare_windows(sum_days(days, metric, last), metric, last, since or {}, thresholds.min_spend)
        for metric in FALLING_RATES
    ]
    tests = sum(frame.height for frame in candidates)
    if not tests:
        return []
    threshold = NormalDist().inv_cdf(1 - min(FALSE_ALARMS / tests, 0.5))
    found = pl.concat(candidates).filter(
        (pl.col("z") >= threshold)
        & (pl.col("rate_2") <= pl.col("rate") * (1 - thresholds.min_drop))
        & (
            (pl.col("spend_2").cast(pl.Float64) >= pl.col("spend").cast(pl.Float64) * (1 + thresholds.min_rise))
            | (pl.col("n_2") >= pl.col("n") * (1 + thresholds.min_rise))
        )
    )
    best = found.sort("rate", "date", descending=[True, True]).unique(
        [*CREATIVE_KEYS, "metric"], keep="first", maintain_order=True
    )
    declines = [
        _build_decline(group.sort("z", descending=True).to_dicts(), days, last, threshold)
        for group in best.partition_by(*CREATIVE_KEYS)
    ]
    return sorted(declines, key=lambda one: (-one.recent_spend, one.creative_id))


def measure_recent_rates(days: pl.DataFrame, last: date) -> dict[str, dict[str, float]]:
    """Return spend and the falling rates of each creative over the last seven days, in percent, by creative."""
    recent = days.filter(pl.col("date").is_between(last - timedelta(WINDOW_DAYS - 1), last))
    parts = {RATES[metric].numerator for metric in FALLING_RATES}
    summed = recent.group_by("creative_id").agg(
        pl.col(*sorted(parts), "impressions").sum(), pl.col("spend").sum().cast(pl.Float64)
    )
    return {
        row["creative_id"]: {
            "spend": row["spend"],
            **{
                metric: 100 * row[RATES[metric].numerator] / row["impressions"]
                for metric in FALLING_RATES
                if row["impressions"]
            },
        }
        for row in summed.to_dicts()
    }


def find_replacement(days: pl.DataFrame, decline: Decline) -> tuple[str, Decimal, Decimal] | None:
    """Find the other creative whose spend rose most between the two windows, with its spend in both.

    Args:
        days: as for `find_declines`.
        decline: of the creative that is to be replaced.
    """
    length = timedelta(WINDOW_DAYS - 1)
    before, after = (
        pl.when(pl.col("date").is_between(first, first + length)).then(pl.col("spend")).sum().alias(name)
        for first, name in ((decline.best_from, "before"), (decline.recent_from, "after"))
    )
    rows = (
        days.filter(pl.col("creative_id") != decline.creative_id)
        .group_by("creative_id")
        .agg(before, after)
        .with_columns(rise=pl.col("after") - pl.col("before"))
        .filter(pl.col("rise") > 0)
        .sort("rise", "creative_id", descending=[True, False])
        .head(1)
        .to_dicts()
    )
    return next(((row["creative_id"], row["before"], row["after"]) for row in rows), None)


def _build_decline(found: Sequence[dict[str, Any]], days: pl.DataFrame, last: date, threshold: float) -> Decline:
    """Build the decline of a creative from its falling rates, the clearest first."""
    main, *others = found
    return Decline(
        creative_id=main["creative_id"],
        creative_kind=main["creative_kind"],
        currency=main["currency"] or "",
        metric=main["metric"],
        best_from=main["date"],
        best_rate=100 * main["rate"],
        recent_from=last - timedelta(WINDOW_DAYS - 1),
        recent_rate=100 * main["rate_2"],
        since=find_change(days, main, last),
        z=main["z"],
        z_threshold=threshold,
        best_spend=main["spend"],
        recent_spend=main["spend_2"],
        best_impressions=int(main["n"]),
        recent_impressions=int(main["n_2"]),
        other_rates=next(((100 * one["rate"], 100 * one["rate_2"]) for one in others), None),
    )
