"""Build the alert about a new top spender."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tiktok_assets.alerts import (
    Alert,
    Bar,
    Link,
    Message,
    RichText,
    UntrustedText,
    build_alert,
    build_asset_url,
    build_launchpad_url,
    format_footer,
    format_instant,
)
from tiktok_assets.duplication import ApprovalCode
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ads_manager_ad_url, format_amount
from tiktok_assets.top_spenders.ranking import WINDOW_DAYS

TOP_SPENDER_KIND = "new_top_spender"
_FOOTER = "Each ad is reported once per campaign."

Facts = Mapping[str, Any]


def build_top_spender_alert(
    alert_id: str, facts: Facts, settings: Settings, code: ApprovalCode | None = None
) -> Alert:
    """Build the alert about a new top spender.

    Args:
        alert_id: the flag's id.
        facts: the flag's `facts`: a row of `top_spenders` as JSON values (amounts, days and instants as text),
            and where known `advertiser_name`, `previous_ad_id`, `previous_ad_name`. What is missing is left out.
        settings: for the URLs; in `propose` and `execute` with a scaling campaign also those of the launchpad.
        code: approves the ad's duplication; it is in the body and in the URL for the live run, not in the facts.
    """
    ad = _format_name(facts, "ad_name", "ad_id")
    campaign = _format_name(facts, "campaign_name", "campaign_id")
    message = Message(
        title=("New top spender in ", campaign, ": ", ad),
        paragraphs=_build_paragraphs(facts, ad, campaign),
        bars=_build_bars(facts),
        facts=(*_build_fact_rows(facts), *_build_approval_row(code)),
        links=_build_links(facts, settings, code),
        footer=format_footer(alert_id, _FOOTER),
    )
    return build_alert(alert_id, TOP_SPENDER_KIND, message, dict(facts))


def _build_links(facts: Facts, settings: Settings, code: ApprovalCode | None) -> tuple[Link, ...]:
    advertiser_id, ad_id = facts["advertiser_id"], facts["ad_id"]
    links = [Link("View the ad in TikTok Ads Manager", ads_manager_ad_url(advertiser_id, ad_id))]
    if dry_run := build_launchpad_url(settings, advertiser_id, ad_id):
        links.append(Link("Try it first: a dry run", dry_run))
    live = build_launchpad_url(settings, advertiser_id, ad_id, code.text.replace("-", "")) if code else None
    if live:
        links.append(Link("Duplicate it: the launchpad, live", live))
    links.append(Link("View the ranking in Dagster", build_asset_url(settings, "top_spenders")))
    return tuple(links)


def _build_paragraphs(facts: Facts, ad: UntrustedText, campaign: UntrustedText) -> tuple[RichText, ...]:
    first: tuple[str | UntrustedText, ...] = (ad, " now has the highest lifetime spend in ", campaign)
    first += (f": {_format_money(facts['spend'], facts)}",)
    if facts.get("share") is not None:
        first += (f", {_format_percent(facts['share'])} of what the campaign spent",)
    first += (".",)
    second: tuple[str | UntrustedText, ...] = ()
    if facts.get("runner_up_ad_id") is not None:
        second += ("It is ahead of ", _format_name(facts, "runner_up_ad_name", "runner_up_ad_id"))
        second += (f" ({_format_money(facts['runner_up_spend'], facts)})",)
        second += (f" by {_format_percent(facts['lead'])}",) if facts.get("lead") is not None else ()
        second += (".",)
    if facts.get("leads_since"):
        second += (f"{' ' if second else ''}First seen in the lead on {format_instant(facts['leads_since'])}.",)
    previous = facts.get("previous_ad_id")
    if previous is not None and previous != facts.get("runner_up_ad_id"):
        second += (" Before, the leader was ", _format_name(facts, "previous_ad_name", "previous_ad_id"), ".")
    return (first, second) if second else (first,)


def _build_bars(facts: Facts) -> tuple[Bar, ...]:
    """Build the lifetime spend of the leader, the runner-up and all other ads of the campaign as a bar chart."""
    spend = Decimal(str(facts["spend"]))
    rows = [(_format_name(facts, "ad_name", "ad_id"), spend)]
    if facts.get("runner_up_ad_id") is not None:
        runner_up = _format_name(facts, "runner_up_ad_name", "runner_up_ad_id")
        rows.append((runner_up, Decimal(str(facts["runner_up_spend"]))))
    if facts.get("campaign_spend") is not None:
        others = Decimal(str(facts["campaign_spend"])) - sum(amount for _, amount in rows)
        count = int(facts.get("ads") or 0) - len(rows)
        if others > 0 and count > 0:
            rows.append((UntrustedText(f"{count} other ad{'s' if count > 1 else ''}"), others))
    longest = max(amount for _, amount in rows) or Decimal(1)
    return tuple(
        Bar(label, _format_money(amount, facts), float(amount / longest), is_main=number == 0)
        for number, (label, amount) in enumerate(rows)
    )


def _build_fact_rows(facts: Facts) -> list[tuple[str, RichText]]:
    rows: list[tuple[str, RichText]] = []
    if facts.get("advertiser_name"):
        rows.append(("Account", (UntrustedText(str(facts["advertiser_name"])), f" ({facts['advertiser_id']})")))
    else:
        rows.append(("Account", str(facts["advertiser_id"])))
    rows.append(("Campaign", (_format_name(facts, "campaign_name", "campaign_id"), f" ({facts['campaign_id']})")))
    if facts.get("ad_group_id"):
        ad_group = _format_name(facts, "ad_group_name", "ad_group_id")
        rows.append(("Ad group", (ad_group, f" ({facts['ad_group_id']})")))
    rows.append(("Ad", str(facts["ad_id"])))
    rows += [
        (f"Last {days} complete days", _format_window(facts, days))
        for days in WINDOW_DAYS
        if facts.get(f"spend_{days}d") is not None
    ]
    if facts.get("fetched_at"):
        rows.append(("Report read", format_instant(facts["fetched_at"])))
    return rows


def _build_approval_row(code: ApprovalCode | None) -> list[tuple[str, RichText]]:
    return [("Approval code", f"{code.text}, once, until {format_instant(code.expires_at)}")] if code else []


def _format_window(facts: Facts, days: int) -> RichText:
    text: tuple[str | UntrustedText, ...] = (_format_money(facts[f"spend_{days}d"], facts),)
    if facts.get(f"campaign_spend_{days}d") is not None:
        text += (f" of the campaign's {_format_money(facts[f'campaign_spend_{days}d'], facts)}",)
    rank = facts.get(f"rank_{days}d")
    if rank is not None:
        text += (f", rank {rank}",)
    top = facts.get(f"top_{days}d_ad_id")
    if top is not None and top != facts["ad_id"]:
        text += ("; highest: ", _format_name(facts, f"top_{days}d_ad_name", f"top_{days}d_ad_id"))
    return text


def _format_name(facts: Facts, name: str, key: str) -> UntrustedText:
    return UntrustedText(str(facts.get(name) or facts[key]))


def _format_money(amount: object, facts: Facts) -> str:
    currency = str(facts.get("currency") or "")
    return f"{format_amount(Decimal(str(amount)), currency)} {currency}".rstrip()


def _format_percent(ratio: object) -> str:
    return f"{Decimal(str(ratio)):.1%}"
