"""Simulate the days of creatives whose rates vary more than chance alone, and lose a part of it where planned.

Views and clicks are drawn from a rate that is itself drawn anew each day, log-normal with a coefficient of
variation of `hook_variation` and `click_variation`. With `persistence` a day keeps that part of the deviation of
the day before (an autoregressive process), as when the audience changes slowly.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import polars as pl

from tiktok_assets.creatives.columns import CREATIVE_DAILY_SCHEMA

OWNER = "7001"
LAST = date(2026, 10, 6)
DOLLARS_PER_1000 = 8


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How rates vary.

    Attributes:
        hook_variation: the coefficient of variation of the hook rate from day to day.
        click_variation: the same of the click rate.
        persistence: the part of a day's deviation that the next day keeps.
        impressions: the median impressions of a creative a day.
    """

    hook_variation: float = 0.10
    click_variation: float = 0.20
    persistence: float = 0.0
    impressions: int = 5000


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A planted decline: the part that both rates lose within `days`, from so many days before the last."""

    part: float
    since: int
    days: int = 7
    growth: float = 1.1

    def kept(self, days_before: int) -> float:
        """Return the part that is left on a day."""
        return 1 - self.part * min(max(self.since - days_before + 1, 0), self.days) / self.days


def simulate_creative(
    seed: str, creative_id: str, days: int, noise: Noise, loss: Loss | None = None
) -> pl.DataFrame:
    """Return the rows of `creative_daily` of one creative; equal arguments give equal rows."""
    random = Random(f"{seed}:{creative_id}")  # noqa: S311 - no secret
    level = noise.impressions * math.exp(random.gauss(0, 0.5))
    hook_rate, click_rate = 0.3 * math.exp(random.gauss(0, 0.25)), 0.01 * math.exp(random.gauss(0, 0.4))
    keeps = noise.persistence
    deviations = [random.gauss(0, 1), random.gauss(0, 1)]
    rows = []
    for days_before in reversed(range(days)):
        deviations = [keeps * one + math.sqrt(1 - keeps**2) * random.gauss(0, 1) for one in deviations]
        variations = (noise.hook_variation, noise.click_variation)
        hooked, clicked = (
            math.exp(math.sqrt(math.log(1 + variation**2)) * deviation)
            for variation, deviation in zip(variations, deviations, strict=True)
        )
        kept = loss.kept(days_before) if loss else 1.0
        growth = loss.growth if loss and kept < 1 else 1.0
        impressions = max(round(level * growth * math.exp(random.gauss(0, 0.2))), 1)
        rows.append(
            {
                "advertiser_id": OWNER,
                "creative_id": creative_id,
                "creative_kind": "video",
                "date": LAST - timedelta(days_before),
                "currency": "USD",
                "ads": 1,
                "spend": Decimal(impressions * DOLLARS_PER_1000) / 1000,
                "impressions": impressions,
                "clicks": _draw(random, impressions, click_rate * kept * clicked),
                "video_watched_2s": _draw(random, impressions, min(hook_rate * kept * hooked, 0.95)),
                "fetched_at": datetime(2026, 12, 31, tzinfo=UTC),
            }
        )
    return pl.DataFrame(rows, CREATIVE_DAILY_SCHEMA)


def simulate_account(
    seed: int, creatives: int, days: int, noise: Noise, losses: dict[str, Loss] | None = None
) -> pl.DataFrame:
    """Return the rows of an account; the creatives are called c0, c1 and so on, those with a loss by its key."""
    names = {f"c{number}": None for number in range(creatives)} | (losses or {})
    return pl.concat([simulate_creative(str(seed), name, days, noise, loss) for name, loss in names.items()])


def _draw(random: Random, count: int, rate: float) -> int:
    """Draw a binomial count: by its normal approximation, of small means by Poisson's."""
    mean = count * rate
    if mean > 30:
        return max(0, min(count, round(random.gauss(mean, math.sqrt(mean * (1 - rate))))))
    drawn, product, limit = 0, random.random(), math.exp(-mean)
    while product > limit:
        drawn, product = drawn + 1, product * random.random()
    return min(drawn, count)
