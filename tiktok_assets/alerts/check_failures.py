"""Build the alert about asset checks that began to fail in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tiktok_assets.alerts.dagster_urls import build_asset_url, build_launchpad_url, build_run_url
from tiktok_assets.alerts.message import Bar, Link, Message, RichText, UntrustedText
from tiktok_assets.alerts.outbox import Alert
from tiktok_assets.duplication.approvals import ApprovalCode
from tiktok_assets.settings import Settings
from tiktok_assets.spec.ads_manager import ads_manager_ad_url
from tiktok_assets.spec.money import format_amount
from tiktok_assets.top_spenders.ranking import WINDOW_DAYS

TOP_SPENDER_KIND, CHECK_FAILURE_KIND = "new_top_spender", "check_failure"
MAX_CHECK_REASON_LENGTH, MAX_LISTED_CHECKS = 200, 10
Facts = Mapping[str, Any]


def build_top_spender_alert(
    alert_id: str, facts: Facts, settings: Settings, code: ApprovalCode | None = None
) -> Alert:
    """The message about a new top spender.

    Args:
        alert_id: the flag's id.
        facts: the flag's `facts`: a row of `top_spenders` as JSON values (amounts, days and instants as text),
            and where known `advertiser_name`, `previous_ad_id`, `previous_ad_name`. What is missing is left out.
        settings: for the links; in `propose` and `execute` with a scaling campaign the launchpad's too.
        code: what approves its duplication; for a person and in the link that duplicates, not in the data.
    """
    ad = _name(facts, "ad_name", "ad_id")
    campaign = _name(facts, "campaign_name", "campaign_id")
    links = [
        Link("Look at the ad in TikTok Ads Manager", ads_manager_ad_url(facts["advertiser_id"], facts["ad_id"]))
    ]
    launchpad = build_launchpad_url(settings, facts["advertiser_id"], facts["ad_id"])
    if launchpad:
        links.append(Link("Try it first: a dry run", launchpad))
    live = (
        build_launchpad_url(settings, facts["advertiser_id"], facts["ad_id"], code.text.replace("-", ""))
        if code
        else None
    )
    if live:
        links.append(Link("Duplicate it: the launchpad, live", live))
    links.append(Link("The ranking in Dagster", build_asset_url(settings, "top_spenders")))
    letter = Message(
        title=("New top spender in ", campaign, ": ", ad),
        sentences=_reasons(facts, ad, campaign),
        bars=_bars(facts),
        facts=(*_table(facts), *_approval(code)),
        links=tuple(links),
        footer=format_footer(alert_id, "An ad is told of once in a campaign."),
    )
    return build_alert(alert_id, TOP_SPENDER_KIND, letter, dict(facts))


def _reasons(facts: Facts, ad: UntrustedText, campaign: UntrustedText) -> tuple[RichText, ...]:
    first: tuple[str | UntrustedText, ...] = (ad, " now has the highest lifetime spend in ", campaign)
    first += (f": {_money(facts['spend'], facts)}",)
    if facts.get("share") is not None:
        first += (f", {_percent(facts['share'])} of what the campaign spent",)
    first += (".",)
    second: tuple[str | UntrustedText, ...] = ()
    if facts.get("runner_up_ad_id") is not None:
        second += ("It is ahead of ", _name(facts, "runner_up_ad_name", "runner_up_ad_id"))
        second += (f" ({_money(facts['runner_up_spend'], facts)})",)
        second += (f" by {_percent(facts['lead'])}",) if facts.get("lead") is not None else ()
        second += (".",)
    if facts.get("leads_since"):
        second += (f"{' ' if second else ''}First seen in the lead on {format_instant(facts['leads_since'])}.",)
    previous = facts.get("previous_ad_id")
    if previous is not None and previous != facts.get("runner_up_ad_id"):
        second += (" Before, the leader was ", _name(facts, "previous_ad_name", "previous_ad_id"), ".")
    return (first, second) if second else (first,)


def _bars(facts: Facts) -> tuple[Bar, ...]:
    """Leader, runner-up, and all other ads of the campaign, over their whole life."""
    spend = Decimal(str(facts["spend"]))
    rows = [(_name(facts, "ad_name", "ad_id"), spend)]
    if facts.get("runner_up_ad_id") is not None:
        rows.append((_name(facts, "runner_up_ad_name", "runner_up_ad_id"), Decimal(str(facts["runner_up_spend"]))))
    if facts.get("campaign_spend") is not None:
        others = Decimal(str(facts["campaign_spend"])) - sum(amount for _, amount in rows)
        count = int(facts.get("ads") or 0) - len(rows)
        if others > 0 and count > 0:
            rows.append((UntrustedText(f"{count} other ad{'s' if count > 1 else ''}"), others))
    longest = max(amount for _, amount in rows) or Decimal(1)
    return tuple(
        Bar(label, _money(amount, facts), float(amount / longest), is_main=number == 0)
        for number, (label, amount) in enumerate(rows)
    )


def _table(facts: Facts) -> list[tuple[str, RichText]]:
    rows: list[tuple[str, RichText]] = []
    if facts.get("advertiser_name"):
        rows.append(("Account", (UntrustedText(str(facts["advertiser_name"])), f" ({facts['advertiser_id']})")))
    else:
        rows.append(("Account", str(facts["advertiser_id"])))
    rows.append(("Campaign", (_name(facts, "campaign_name", "campaign_id"), f" ({facts['campaign_id']})")))
    if facts.get("ad_group_id"):
        rows.append(("Ad group", (_name(facts, "ad_group_name", "ad_group_id"), f" ({facts['ad_group_id']})")))
    rows.append(("Ad", str(facts["ad_id"])))
    rows += [(f"Last {days} complete days", _window(facts, days)) for days in WINDOW_DAYS if _has(facts, days)]
    if facts.get("fetched_at"):
        rows.append(("Numbers read", format_instant(facts["fetched_at"])))
    return rows


def _approval(code: ApprovalCode | None) -> list[tuple[str, RichText]]:
    return [("Approval code", f"{code.text}, once, until {format_instant(code.expires_at)}")] if code else []


def _has(facts: Facts, days: int) -> bool:
    return facts.get(f"spend_{days}d") is not None


def _window(facts: Facts, days: int) -> RichText:
    told: tuple[str | UntrustedText, ...] = (_money(facts[f"spend_{days}d"], facts),)
    if facts.get(f"campaign_spend_{days}d") is not None:
        told += (f" of the campaign's {_money(facts[f'campaign_spend_{days}d'], facts)}",)
    rank = facts.get(f"rank_{days}d")
    if rank is not None:
        told += (f", rank {rank}",)
    top = facts.get(f"top_{days}d_ad_id")
    if top is not None and top != facts["ad_id"]:
        told += ("; most: ", _name(facts, f"top_{days}d_ad_name", f"top_{days}d_ad_id"))
    return told


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """An asset check that passed before, or only warned, or never ran, and fails now."""

    asset: str
    check: str
    severity: str
    reason: str
    failed_at: datetime


def build_check_failure_alert(run_id: str, checks: Sequence[FailedCheck], settings: Settings) -> Alert:
    """The message about the checks that began to fail in one run; one id a run."""
    alert_id = f"checks-{run_id}"
    first, count = checks[0], len(checks)
    title: RichText = (
        ("The check ", UntrustedText(first.check), " of ", UntrustedText(first.asset), f" {_verb(first)}")
        if count == 1
        else f"{count} checks began to fail"
    )
    told: tuple[tuple[str, RichText], ...] = tuple(
        (
            f"{one.asset}, {one.check}",
            (f"{_verb(one)}: ", UntrustedText(one.reason or "no reason given", MAX_CHECK_REASON_LENGTH)),
        )
        for one in checks[:MAX_LISTED_CHECKS]
    )
    more = f" {count - MAX_LISTED_CHECKS} more are on its page." if count > MAX_LISTED_CHECKS else ""
    letter = Message(
        title=title,
        sentences=(f"Found by the run {run_id} on {format_instant(first.failed_at)}.{more}",),
        facts=told,
        links=(
            Link("Open the checks of the table in Dagster", build_asset_url(settings, first.asset, view="checks")),
            Link("Open the run", build_run_url(settings, run_id)),
        ),
        footer=format_footer(alert_id, "A check is told of again once it has passed and fails anew."),
    )
    names = ("asset", "check", "severity", "reason")
    data = {"run_id": run_id, "checks": [{name: getattr(one, name) for name in names} for one in checks]}
    return build_alert(alert_id, CHECK_FAILURE_KIND, letter, data)


def _verb(check: FailedCheck) -> str:
    return "fails" if check.severity == "ERROR" else "warns"


def build_alert(alert_id: str, kind: str, letter: Message, facts: dict[str, Any]) -> Alert:
    """Return a letter in the forms the outbox keeps."""
    return Alert(alert_id, kind, letter.subject, letter.text, letter.markdown, letter.html, letter.brief, facts)


def format_footer(alert_id: str, rule: str) -> str:
    """Return the last line of a message: its id, and how often such a thing is told of."""
    return f"Alert {alert_id}. {rule}"


def _name(facts: Facts, name: str, key: str) -> UntrustedText:
    return UntrustedText(str(facts.get(name) or facts[key]))


def _money(amount: object, facts: Facts) -> str:
    currency = str(facts.get("currency") or "")
    return f"{format_amount(Decimal(str(amount)), currency)} {currency}".rstrip()


def _percent(ratio: object) -> str:
    return f"{Decimal(str(ratio)):.1%}"


def format_instant(value: object) -> str:
    """Return an instant, given as such or as text, to the minute in UTC."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    instant = instant.astimezone(UTC)
    return f"{instant.day} {instant:%B %Y, %H:%M} UTC"
