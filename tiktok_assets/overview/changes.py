"""List what happened in the accounts since yesterday, and what to act on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tiktok_assets.overview.formatting import format_change, format_day, format_money, format_percent
from tiktok_assets.spec import CREATIVE_RATES

if TYPE_CHECKING:
    from tiktok_assets.overview.models import AccountSection

KINDS = {
    "leader": "new leader",
    "fatigue": "fatigue",
    "budget": "budget used up",
    "delivery": "no delivery",
    "data": "data missing",
    "check": "not in the tables",
}
"""The kinds of changes in the order of the page, with their labels."""

MAX_CHANGES = 40
"""How many changes of one kind are shown; the tables below have all."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened.

    Attributes:
        kind: of `KINDS`.
        subject: the name of the ad, creative or campaign; empty if it is the whole account.
        text: what happened, without names from outside.
        within: the name of the campaign the subject is in; empty if it is a campaign.
    """

    kind: str
    advertiser_id: str
    advertiser_name: str
    currency: str
    subject: str
    text: str
    within: str = ""

    @property
    def kind_rank(self) -> int:
        """The position of the kind on the page."""
        return list(KINDS).index(self.kind)

    @property
    def label(self) -> str:
        """The words for the kind."""
        return KINDS[self.kind]


def list_changes(
    accounts: Sequence["AccountSection"], declines: Sequence[Mapping[str, Any]], built_at: datetime
) -> list[Change]:
    """List the changes of the accounts, ordered by kind, then as the accounts are ordered.

    Args:
        accounts: the accounts of the page.
        declines: rows of `creative_declines`.
        built_at: timezone-aware.
    """
    since = datetime.combine(built_at.date() - timedelta(1), datetime.min.time(), built_at.tzinfo)
    new = [row for row in declines if row["is_told"] and row["found_at"] >= since]
    by_account: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in new:
        by_account.setdefault((row["advertiser_id"], row["currency"] or ""), []).append(row)
    found = [
        change
        for account in accounts
        for change in _list_account_changes(
            account, by_account.get((account.advertiser_id, account.currency), []), since
        )
    ]
    return sorted(found, key=lambda one: one.kind_rank)


def _list_account_changes(
    account: "AccountSection", declines: Sequence[Mapping[str, Any]], since: datetime
) -> Iterator[Change]:
    def build(kind: str, text: str, subject: str = "", within: str = "") -> Change:
        owner = account.advertiser_id, account.name, account.currency
        return Change(kind, *owner, subject=subject, text=text, within=within)

    for row in account.new_leaders:
        if row["leads_since"] and row["leads_since"] >= since:
            lead = f", {format_change(row['lead'])} over the next ad" if row["lead"] is not None else ""
            text = f"now spends most of its campaign: {format_money(row['spend'], account.currency)}{lead}"
            yield build("leader", text, row["ad_name"] or row["ad_id"], row["campaign_name"] or row["campaign_id"])
    for decline in declines:
        name = decline["creative_name"] or decline["creative_id"]
        yield build("fatigue", _describe_decline(decline), name)
    for usage in account.budgets:
        if usage.share >= 1:
            spent, budget = (format_money(one, account.currency) for one in (usage.spent, usage.budget))
            when = f"on {format_day(usage.day)}" if usage.day else "in total"
            text = f"spent {spent} {when}, {format_percent(usage.share)} of its budget of {budget}"
            yield build("budget", text, usage.campaign_name)
    if text := _describe_stop(account):
        yield build("delivery", text)
    if text := _describe_missing_data(account):
        yield build("data", text)
    for one in account.unreported:
        yield build("check", f"{one.text}. {one.fix}")


def _describe_decline(row: Mapping[str, Any]) -> str:
    rate = CREATIVE_RATES[row["metric"]].name
    fell = f"{rate} fell from {row['best_rate']:.2f}% to {row['recent_rate']:.2f}%"
    instead = "another creative spends in its place" if row["replacement_id"] else "no other creative spends more"
    return f"{fell} since about {format_day(row['since'])}; {instead}"


def _describe_stop(account: "AccountSection") -> str:
    """Describe that an account spent nothing on its latest complete day but did on the day before."""
    last = account.freshness.complete_day if account.freshness else None
    if last is None:
        return ""
    spend: dict[date, Decimal] = {row["date"]: row["spend"] for row in account.daily if row["spend"]}
    before = spend.get(last - timedelta(1))
    if last in spend or before is None:
        return ""
    return f"spent nothing on {format_day(last)}, after {format_money(before, account.currency)} the day before"


def _describe_missing_data(account: "AccountSection") -> str:
    if not account.is_granted:
        return "the account is no longer granted to the token"
    if account.freshness is None:
        return "its daily report was never read"
    if account.freshness.missing_days:
        return f"{account.freshness.missing_days} of the last 30 days were never read"
    return "" if account.freshness.complete_day else "no day of it is complete yet"
