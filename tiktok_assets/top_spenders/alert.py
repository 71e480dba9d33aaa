"""Build the alert about a new top spender."""

from collections.abc import Mapping
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
    build_launchpad_url,
    find_scaling_campaign,
    format_fact_amount,
    format_fact_name,
    format_footer,
    format_instant,
)
from tiktok_assets.duplication import ApprovalCode, format_kind
from tiktok_assets.naming import format_asset_key
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ads_manager_ad_url
from tiktok_assets.top_spenders.ranking import WINDOW_DAYS

TOP_SPENDER_KIND = "new_top_spender"
_FOOTER = "Each ad is reported once per campaign."

Facts = Mapping[str, Any]
Parts = tuple[str | UntrustedText, ...]


def build_top_spender_alert(
    alert_id: str,
    facts: Facts,
    settings: Settings,
    code: ApprovalCode | None = None,
    picture: AlertPicture | None = None,
) -> Alert:
    """Build the alert about a new top spender.

    Args:
        alert_id: the flag's id.
        facts: the flag's `facts`: a row of `top_spenders` as JSON values (amounts, days and instants as text),
            and where known `advertiser_name`, `previous_ad_id`, `previous_ad_name`, `previous_is_deleted`, and
            `duplicable`, `duplication_reason` and `duplication_steps`. What is missing is left out.
        settings: for the URLs; in `propose` and `execute` with a scaling campaign also those of the launchpad.
        code: approves the ad's duplication; it is in the body and in the URL for the live run, not in the facts.
        picture: of the ad, see `build_top_spender_picture`.
    """
    ad = format_fact_name(facts, "ad_name", "ad_id")
    campaign = format_fact_name(facts, "campaign_name", "campaign_id")
    message = Message(
        title=("New top spender in ", campaign, ": ", ad),
        paragraphs=tuple(
            paragraph
            for paragraph in (
                _describe_spend(facts),
                _describe_others(facts),
                _describe_creative(facts),
                _describe_duplication(facts, settings),
            )
            if paragraph
        ),
        bars=_build_bars(facts),
        facts=(*_build_fact_rows(facts), *_build_approval_row(code)),
        links=_build_links(facts, settings, code),
        footer=format_footer(alert_id, _FOOTER),
    )
    return build_alert(alert_id, TOP_SPENDER_KIND, message, dict(facts), picture)


def _build_links(facts: Facts, settings: Settings, code: ApprovalCode | None) -> tuple[Link, ...]:
    advertiser_id, ad_id, smart_plus_ad_id = facts["advertiser_id"], facts["ad_id"], facts.get("smart_plus_ad_id")
    # Ads Manager lists the ads of Upgraded Smart+, not their creatives.
    shown = "its Smart+ ad" if smart_plus_ad_id else "the ad"
    url = ads_manager_ad_url(advertiser_id, str(smart_plus_ad_id or ad_id))
    links = [Link(f"View {shown} in TikTok Ads Manager", url)]
    if facts.get("duplicable", "yes") == "yes":
        if dry_run := build_launchpad_url(settings, advertiser_id, ad_id):
            links.append(Link("Try it first: a dry run", dry_run))
        live = build_launchpad_url(settings, advertiser_id, ad_id, code.text.replace("-", "")) if code else None
        if live:
            links.append(Link("Duplicate it: the launchpad, live", live))
    ranking = build_asset_url(settings, format_asset_key(settings, "top_spenders"))
    links.append(Link("View the ranking in Dagster", ranking))
    return tuple(links)


def _describe_spend(facts: Facts) -> Parts:
    spend, share = format_fact_amount(facts["spend"], facts), facts.get("share")
    of_campaign = f", {_format_percent(share)} of what the campaign spent" if share is not None else ""
    return (f"It now has the highest lifetime spend: {spend}{of_campaign}.",)


def _describe_others(facts: Facts) -> Parts:
    """Describe the runner-up, since when the ad leads, and the leader before it."""
    parts: Parts = ()
    if facts.get("runner_up_ad_id") is not None:
        parts += ("It is ahead of ", *_name_other(facts, "runner_up"))
        parts += (f" ({format_fact_amount(facts['runner_up_spend'], facts)})",)
        parts += (f" by {_format_percent(facts['lead'])}",) if facts.get("lead") is not None else ()
        parts += (".",)
    if facts.get("leads_since"):
        parts += (f"{' ' if parts else ''}First seen in the lead on {format_instant(facts['leads_since'])}.",)
    previous, deleted = facts.get("previous_ad_id"), facts.get("previous_is_deleted")
    if previous is not None and (previous != facts.get("runner_up_ad_id") or deleted):
        parts += (f"{' ' if parts else ''}Before, the leader was ", *_name_other(facts, "previous"))
        parts += (", which is deleted." if deleted else ".",)
    return parts


def _describe_creative(facts: Facts) -> Parts:
    """Describe the Smart+ ad of a creative, and the spend of its video or post in all ads of the campaign."""
    parts: Parts = ()
    is_creative = facts.get("smart_plus_ad_id") is not None
    if is_creative:
        smart_plus_ad = format_fact_name(facts, "smart_plus_ad_name", "smart_plus_ad_id")
        parts += ("It is a creative of the Smart+ ad ", smart_plus_ad)
        if facts.get("smart_plus_ad_share") is not None:
            total = format_fact_amount(facts["smart_plus_ad_spend"], facts)
            parts += (f", with {_format_percent(facts['smart_plus_ad_share'])} of that ad's {total}",)
        parts += (".",)
    count = int(facts.get("media_ads") or 0)
    if count > 1:
        media = "video" if facts.get("video_id") else "post"
        where = f"in {count} {'creatives' if is_creative else 'ads'} of the campaign"
        spent = format_fact_amount(facts["media_spend"], facts)
        parts += (f"{' ' if parts else ''}The same {media} spent {spent} {where}",)
        share = facts.get("media_share")
        parts += (f", {_format_percent(share)} of its spend.",) if share is not None else (".",)
    return parts


def _describe_duplication(facts: Facts, settings: Settings) -> Parts:
    """Describe whether and how the ad can be duplicated, and if not, why and what to do by hand."""
    reason, steps = facts.get("duplication_reason"), facts.get("duplication_steps")
    if not facts.get("duplicable"):  # a flag of an earlier release
        return ()
    if facts["duplicable"] != "yes":
        return (f"It cannot be duplicated from here: {reason}.", f" By hand: {steps}." if steps else "")
    advertiser_id = str(facts["advertiser_id"])
    if not find_scaling_campaign(settings, advertiser_id):
        how = "For a link that does it, set TIKTOK_SCALING_MODE to propose and name a campaign in"
        return (f"It can be duplicated {reason}. {how} TIKTOK_SCALING_CAMPAIGNS.",)
    target = facts.get("scaling_campaign_name") or settings.scaling_campaigns[advertiser_id]
    return ("It can be duplicated into ", UntrustedText(str(target)), f", {reason}.")


def _build_bars(facts: Facts) -> tuple[Bar, ...]:
    """Build the lifetime spend of the leader, the runner-up and all other ads of the campaign as a bar chart."""
    spend = Decimal(str(facts["spend"]))
    rows = [(format_fact_name(facts, "ad_name", "ad_id"), spend)]
    if facts.get("runner_up_ad_id") is not None:
        runner_up = format_fact_name(facts, "runner_up_ad_name", "runner_up_ad_id")
        rows.append((runner_up, Decimal(str(facts["runner_up_spend"]))))
    if facts.get("campaign_spend") is not None:
        others = Decimal(str(facts["campaign_spend"])) - sum(amount for _, amount in rows)
        count = int(facts.get("ads") or 0) - len(rows)
        if others > 0 and count > 0:
            rows.append((UntrustedText(f"{count} other ad{'s' if count > 1 else ''}"), others))
    longest = max(amount for _, amount in rows) or Decimal(1)
    return tuple(
        Bar(label, format_fact_amount(amount, facts), float(amount / longest), is_main=number == 0)
        for number, (label, amount) in enumerate(rows)
    )


def _build_fact_rows(facts: Facts) -> list[tuple[str, RichText]]:
    rows: list[tuple[str, RichText]] = []
    if facts.get("advertiser_name"):
        rows.append(("Account", (UntrustedText(str(facts["advertiser_name"])), f" ({facts['advertiser_id']})")))
    else:
        rows.append(("Account", str(facts["advertiser_id"])))
    rows.append(
        ("Campaign", (format_fact_name(facts, "campaign_name", "campaign_id"), f" ({facts['campaign_id']})"))
    )
    if facts.get("ad_group_id"):
        ad_group = format_fact_name(facts, "ad_group_name", "ad_group_id")
        rows.append(("Ad group", (ad_group, f" ({facts['ad_group_id']})")))
    if facts.get("smart_plus_ad_id"):
        name = format_fact_name(facts, "smart_plus_ad_name", "smart_plus_ad_id")
        rows.append(("Smart+ ad", (name, f" ({facts['smart_plus_ad_id']})")))
    kind = format_kind(facts.get("ad_kind"))
    label = "Creative" if facts.get("smart_plus_ad_id") else "Ad"
    rows.append((label, f"{facts['ad_id']}{f', {kind}' if kind else ''}"))
    media = (("Video", "video_id"), ("Post", "tiktok_item_id"))
    rows += [(label, UntrustedText(str(facts[name]))) for label, name in media if facts.get(name)]
    rows += [
        (f"Last {days} complete days", _format_window(facts, days))
        for days in WINDOW_DAYS
        if facts.get(f"spend_{days}d") is not None
    ]
    if facts.get("fetched_at") and facts["fetched_at"] != facts.get("leads_since"):
        rows.append(("Report read", format_instant(facts["fetched_at"])))
    return rows


def _build_approval_row(code: ApprovalCode | None) -> list[tuple[str, RichText]]:
    return [("Approval code", f"{code.text}, once, until {format_instant(code.expires_at)}")] if code else []


def _format_window(facts: Facts, days: int) -> RichText:
    text: Parts = (format_fact_amount(facts[f"spend_{days}d"], facts),)
    if facts.get(f"campaign_spend_{days}d") is not None:
        text += (f" of the campaign's {format_fact_amount(facts[f'campaign_spend_{days}d'], facts)}",)
    rank = facts.get(f"rank_{days}d")
    if rank is not None:
        text += (f", rank {rank}",)
    top = facts.get(f"top_{days}d_ad_id")
    if top is not None and top != facts["ad_id"]:
        text += ("; highest: ", format_fact_name(facts, f"top_{days}d_ad_name", f"top_{days}d_ad_id"))
    return text


def _name_other(facts: Facts, which: str) -> Parts:
    """Name the runner-up or the previous leader; creatives of one ad have one name, so then with the id."""
    name = format_fact_name(facts, f"{which}_ad_name", f"{which}_ad_id")
    is_same = name == format_fact_name(facts, "ad_name", "ad_id")
    return (name, f" ({facts[f'{which}_ad_id']})") if is_same else (name,)


def _format_percent(ratio: object) -> str:
    return f"{Decimal(str(ratio)):.1%}"
