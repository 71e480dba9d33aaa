"""Evaluate the guardrails that keep a new leader from being flagged, each with its reason.

No guardrail asks of which kind an ad is or whether it can be duplicated: that is told in its alert.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tiktok_assets.duplication import has_marker
from tiktok_assets.settings import Settings

DAILY_CAP_WINDOW = timedelta(hours=24)

# In these states an object does not deliver again by itself (API notes 5.6). In review, out of today's budget or
# not started yet is no reason to hold an ad back: the best ad of the day is often the one whose budget is used up.
_STOPPED_STATUSES = ("DELETE", "DISABLE", "FROZEN", "AUDIT_DENY", "STATUS_DONE", "TIME_DONE", "PUNISH")
_HIERARCHY = (("ad", "the ad"), ("ad_group", "its ad group"), ("campaign", "its campaign"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The input of the guardrails for an ad that took the lead in a campaign.

    Attributes:
        ad_id: the ad.
        leader: the campaign's row of `top_spenders`, or None.
        ad, ad_group, campaign: their stored rows, or None.
        unlisted: those of `ad`, `ad_group` and `campaign` that TikTok's list did not contain after the report that
            showed the ad in the lead. Not every list has every kind of ad, so they do not hold it back.
        baseline_at: when the ad was the campaign's first leader; None if another ad was.
        flagged_at: when it was flagged in this campaign; None if it was not.
        is_copy: whether a duplication in the ledger created it.
        campaign_flagged_at: when any ad of the campaign was last flagged.
        recent_flags: the account's flags, and those about to be made.
    """

    ad_id: str
    leader: Mapping[str, Any] | None = None
    ad: Mapping[str, Any] | None = None
    ad_group: Mapping[str, Any] | None = None
    campaign: Mapping[str, Any] | None = None
    unlisted: frozenset[str] = frozenset()
    baseline_at: datetime | None = None
    flagged_at: datetime | None = None
    is_copy: bool = False
    campaign_flagged_at: datetime | None = None
    recent_flags: Sequence[datetime] = field(default=())

    @property
    def name(self) -> str:
        """The ad's name, from the report where the ad has no row of its own; "" if it has none."""
        return str((self.ad or self.leader or {}).get("ad_name") or "")


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a candidate is not flagged: the guardrail, and a sentence with the numbers."""

    guardrail: str
    reason: str


GuardrailCheck = Callable[[Candidate, Settings, datetime], str | None]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One guardrail.

    Attributes:
        name: stored in `duplication_candidates` and shown in messages.
        description: what an ad must fulfil; completes "the ad ...".
        check: returns the reason it holds an ad back, or None.
        is_final: if it holds an ad back, the guardrails after it are not evaluated.
    """

    name: str
    description: str
    check: GuardrailCheck
    is_final: bool = False


def evaluate_guardrails(candidate: Candidate, settings: Settings, now: datetime) -> tuple[Hold, ...]:
    """Evaluate the guardrails in order and return those that hold the candidate back; () if it can be flagged.

    Args:
        candidate: the ad with its rows and history.
        settings: the limits.
        now: aware.
    """
    holds: list[Hold] = []
    for guardrail in GUARDRAILS:
        reason = guardrail.check(candidate, settings, now)
        if reason:
            holds.append(Hold(guardrail.name, reason))
            if guardrail.is_final:
                break
    return tuple(holds)


def _check_new(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    if candidate.baseline_at is None:
        return None
    instant = _format_instant(candidate.baseline_at)
    return f"it was the campaign's first leader, in the report of {instant}, so it is not new"


def _check_once(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    return (
        f"it was flagged {_format_instant(candidate.flagged_at)}, and each ad is flagged once"
        if candidate.flagged_at
        else None
    )


def _check_leads(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    leader = candidate.leader
    if leader is None:
        return "no ranking of its campaign is stored"
    if leader["ad_id"] == candidate.ad_id:
        return None
    return f"it no longer leads: ad {leader['ad_id']} does, with {leader['spend']} {leader['currency']}"


def _check_spend(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    if leader["spend"] >= settings.min_spend:
        return None
    currency = leader["currency"]
    return (
        f"it has spent {leader['spend']} {currency}, less than TIKTOK_MIN_SPEND of {settings.min_spend} {currency}"
    )


def _check_lead(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    second: Decimal | None = leader["runner_up_spend"]
    if not second or leader["spend"] >= second * (1 + settings.min_lead):
        return None
    lead = (leader["spend"] / second - 1) * 100
    return (
        f"its {leader['spend']} {leader['currency']} are {lead:.2f} % ahead of the runner-up's {second},"
        f" less than TIKTOK_MIN_LEAD of {settings.min_lead * 100:.2f} %"
    )


def _check_delivering(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    for attribute, label in _HIERARCHY:
        row = getattr(candidate, attribute)
        if row is None and attribute in candidate.unlisted:
            continue
        if row is None:
            return f"{label} is not in the table `{attribute}s` yet"
        secondary = row["secondary_status"] or ""
        if any(word in secondary for word in _STOPPED_STATUSES):
            return f"{label} does not deliver: its status is {secondary}"
        if (row["operation_status"] or "ENABLE") != "ENABLE":
            return f"{label} does not deliver: it is switched to {row['operation_status']}"
    return None


def _check_original(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    if candidate.is_copy:
        return "it is a copy created by this project, by its ledger"
    if not has_marker(candidate.name):
        return None
    return f"it is a copy created by this project, by the end of its name: {candidate.name[-20:]}"


def _check_testing(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    if settings.scaling_campaigns.get(leader["advertiser_id"]) != leader["campaign_id"]:
        return None
    return f"campaign {leader['campaign_id']} is the one in TIKTOK_SCALING_CAMPAIGNS, into which ads are copied"


def _check_name(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    match = re.search(settings.exclude_names, candidate.name) if settings.exclude_names else None
    return f"TIKTOK_EXCLUDE_NAMES finds {match[0]!r} in its name" if match else None


def _check_cool_down(candidate: Candidate, settings: Settings, now: datetime) -> str | None:
    last_flag, days = candidate.campaign_flagged_at, settings.flag_cooldown_days
    if last_flag is None or now >= last_flag + timedelta(days):
        return None
    return (
        f"another ad of the campaign was flagged {_format_instant(last_flag)};"
        f" TIKTOK_FLAG_COOLDOWN_DAYS of {days} end {_format_instant(last_flag + timedelta(days))}"
    )


def _check_daily_cap(candidate: Candidate, settings: Settings, now: datetime) -> str | None:
    count = sum(at > now - DAILY_CAP_WINDOW for at in candidate.recent_flags)
    if count < settings.flags_per_day:
        return None
    return f"the account has {count} flags within 24 hours, and TIKTOK_FLAGS_PER_DAY is {settings.flags_per_day}"


def _format_instant(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if instant else ""


GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail("new", "was not the campaign's first leader", _check_new, is_final=True),
    Guardrail("once", "was not flagged before", _check_once, is_final=True),
    Guardrail("leads", "still leads its campaign", _check_leads, is_final=True),
    Guardrail("spend", "has spent TIKTOK_MIN_SPEND", _check_spend),
    Guardrail("lead", "is TIKTOK_MIN_LEAD ahead of the runner-up, where there is one", _check_lead),
    Guardrail("delivering", "delivers, as do its ad group and its campaign", _check_delivering),
    Guardrail("original", "is not a copy created by a duplication", _check_original),
    Guardrail("testing", "is not in the scaling campaign", _check_testing),
    Guardrail("name", "has a name that TIKTOK_EXCLUDE_NAMES does not match", _check_name),
    Guardrail(
        "cool_down",
        "is assessed at least TIKTOK_FLAG_COOLDOWN_DAYS after the campaign's last flag",
        _check_cool_down,
    ),
    Guardrail("daily_cap", "is within the account's TIKTOK_FLAGS_PER_DAY", _check_daily_cap),
)
"""In the order of evaluation; docs and the sensor's messages use these names."""
