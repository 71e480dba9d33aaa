"""Build the picture of a decline: the creative's thumbnail, its figures, and the rate that fell by day."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from tiktok_assets.alerts import AlertPicture, format_fact_amount
from tiktok_assets.creatives.fatigue_alert import format_rate
from tiktok_assets.creatives.rate_comparison import WINDOW_DAYS, sum_days
from tiktok_assets.spec import CREATIVE_RATES

MAX_TREND_DAYS = 60


def build_fatigue_picture(facts: Mapping[str, Any], days: pl.DataFrame, thumbnail: bytes | None) -> AlertPicture:
    """Build the picture of a decline.

    Args:
        facts: of the alert, see `build_fatigue_alert`.
        days: the complete days of the account in the decline's currency, rows of `creative_daily`.
        thumbnail: the file of the creative's thumbnail, if there is one.
    """
    name = str(facts["creative_name"] or facts["creative_id"])
    rate = CREATIVE_RATES[facts["metric"]].name
    figures = (
        ("Best seven days", format_rate(facts["best_rate"])),
        ("Last seven days", format_rate(facts["recent_rate"])),
        ("Fell by", f"{facts['drop']:.0%}"),
        ("Spend, 7 days", format_fact_amount(facts["recent_spend"], facts)),
    )
    series = _list_rates(facts, days)
    label = f"{rate.capitalize()} a day, {len(series)} days"
    note = f"highest {format_rate(max((one for one in series if one is not None), default=0.0))}"
    slug = "-".join(re.findall(r"[A-Za-z0-9]+", name))[:40].strip("-").lower()
    described = ", ".join(f"{title.lower()} {value}" for title, value in figures)
    return AlertPicture(
        heading=f"{rate.capitalize()} fell",
        title=name,
        subtitle=str(facts.get("advertiser_name") or facts["advertiser_id"]),
        figures=figures,
        series=series,
        series_label=label,
        series_note=note,
        thumbnail=thumbnail,
        key=str(facts["creative_id"]),
        alt=f"Cover of the creative {name}, {rate}: {described}. A line shows its {rate} by day, {note}.",
        file_name=f"creative-fatigue-{slug or facts['creative_id']}.png",
    )


def _list_rates(facts: Mapping[str, Any], days: pl.DataFrame) -> tuple[float | None, ...]:
    """Return the rate by day in percent, from the best seven days to the last; None for a day without it."""
    last = date.fromisoformat(facts["recent_from"]) + timedelta(WINDOW_DAYS - 1)
    first = max(date.fromisoformat(facts["best_from"]), last - timedelta(MAX_TREND_DAYS - 1))
    rows = sum_days(days, facts["metric"], last).filter(
        pl.col("creative_id") == facts["creative_id"], pl.col("creative_kind") == facts["creative_kind"]
    )
    by_day = {row["date"]: 100 * row["x"] / row["n"] for row in rows.to_dicts()}
    return tuple(by_day.get(first + timedelta(number)) for number in range((last - first).days + 1))
