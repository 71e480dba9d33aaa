"""Build the alert about a creative whose hook rate or click rate has fallen."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tiktok_assets.alerts import (
    Alert,
    AlertPicture,
    Bar,
    Link,
    Message,
    RichText,
    UntrustedText,
    build_alert,
    build_asset_url,
    format_fact_amount,
    format_fact_name,
    format_footer,
)
from tiktok_assets.creatives.columns import CREATIVES
from tiktok_assets.creatives.fatigue import FALLING_RATES
from tiktok_assets.creatives.rate_comparison import WINDOW_DAYS
from tiktok_assets.settings import Settings
from tiktok_assets.spec import CREATIVE_RATES

FATIGUE_KIND = "creative_fatigue"
_FOOTER = "Each creative is reported once per decline."

Facts = Mapping[str, Any]
Parts = tuple[str | UntrustedText, ...]


def build_fatigue_alert(
    alert_id: str, facts: Facts, settings: Settings, picture: AlertPicture | None = None
) -> Alert:
    """Build the alert about a decline.

    Args:
        alert_id: the decline's id.
        facts: a row of `creative_declines` as JSON values, with `advertiser_name` and the other rate's
            `other_best_rate` and `other_recent_rate` where known.
        settings: for the URL of the link.
        picture: its picture, if it has one.
    """
    name = format_fact_name(facts, "creative_name", "creative_id")
    rate = CREATIVE_RATES[facts["metric"]].name
    message = Message(
        title=(f"The {rate} of a creative has fallen: ", name),
        paragraphs=(_describe_fall(facts, rate), _describe_delivery(facts), _describe_replacement(facts)),
        bars=(
            Bar(UntrustedText("best seven days"), format_rate(facts["best_rate"]), 1.0),
            Bar(
                UntrustedText("last seven days"),
                format_rate(facts["recent_rate"]),
                facts["recent_rate"] / facts["best_rate"],
                is_main=True,
            ),
        ),
        facts=tuple(_list_facts(facts, name)),
        links=(Link("View the creatives in Dagster", build_asset_url(settings, CREATIVES)),),
        footer=format_footer(alert_id, _FOOTER),
    )
    return build_alert(alert_id, FATIGUE_KIND, message, dict(facts), picture)


def _describe_fall(facts: Facts, rate: str) -> str:
    fell = f"Its {rate} fell by {facts['drop']:.0%}, from {format_rate(facts['best_rate'])} in its best seven days"
    days = f"({_format_days(facts['best_from'])}) to {format_rate(facts['recent_rate'])} in the last seven"
    since = f"It has been lower since about {_format_day(date.fromisoformat(facts['since']))}."
    return f"{fell} {days} ({_format_days(facts['recent_from'])}). {since}"


def _describe_delivery(facts: Facts) -> str:
    """Describe spend and impressions in both windows, and the other rate if it fell too."""
    spend, impressions = (
        f"{_format_change(facts[f'recent_{name}'], facts[f'best_{name}'])} from {before} to {after}"
        for name, before, after in (
            (
                "spend",
                format_fact_amount(facts["best_spend"], facts),
                format_fact_amount(facts["recent_spend"], facts),
            ),
            ("impressions", f"{facts['best_impressions']:,}", f"{facts['recent_impressions']:,}"),
        )
    )
    text = f"Between them its spend {spend}, and its impressions {impressions}."
    if facts.get("other_best_rate") is None:
        return text
    (other,) = set(FALLING_RATES) - {facts["metric"]}
    before, after = format_rate(facts["other_best_rate"]), format_rate(facts["other_recent_rate"])
    return f"{text} Its {CREATIVE_RATES[other].name} fell too, from {before} to {after}."


def _describe_replacement(facts: Facts) -> Parts:
    if facts.get("replacement_id") is None:
        return ("No other creative of the account spends more than it did then.",)
    before, after = (
        format_fact_amount(facts[name], facts) for name in ("replacement_spend_before", "replacement_spend")
    )
    name = format_fact_name(facts, "replacement_name", "replacement_id")
    return ("In its place spends ", name, f": {before} in the first of these weeks, {after} in the last.")


def _list_facts(facts: Facts, name: UntrustedText) -> list[tuple[str, RichText]]:
    advertiser_id = facts["advertiser_id"]
    known = facts.get("advertiser_name")
    kind = str(facts["creative_kind"])
    certainty = f"{facts['z']:.1f} standard errors; {facts['z_threshold']:.1f} were needed"
    return [
        ("Account", (UntrustedText(str(known)), f" ({advertiser_id})") if known else str(advertiser_id)),
        ("Creative", (name, f", {kind} ", UntrustedText(str(facts["creative_id"])))),
        ("How clear", certainty),
    ]


def format_rate(percent: float) -> str:
    """Format a rate in percent."""
    return f"{percent:.2f}%"


def _format_change(after: object, before: object) -> str:
    return "rose" if Decimal(str(after)) >= Decimal(str(before)) else "fell"


def _format_days(first: str) -> str:
    start = date.fromisoformat(first)
    return f"{_format_day(start)} to {_format_day(start + timedelta(WINDOW_DAYS - 1))}"


def _format_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
