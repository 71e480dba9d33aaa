"""Evaluate the guardrails that keep a new leader from being flagged, each with its reason."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tiktok_assets.duplication.copyability import find_uncopyable_kind
from tiktok_assets.duplication.payloads import has_marker
from tiktok_assets.settings import Settings

DAILY_CAP_WINDOW = timedelta(hours=24)

# Past it an object does not deliver again by itself (dossier 5.6). In review, out of today's budget or not
# started yet is no reason to keep quiet: the winner of the day is often the one whose budget is used up.
_STOPPED = ("DELETE", "DISABLE", "FROZEN", "AUDIT_DENY", "STATUS_DONE", "TIME_DONE", "PUNISH")
_OBJECTS = (("ad", "the ad"), ("ad_group", "its ad group"), ("campaign", "its campaign"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Everything the guardrails look at, for an ad that began to lead a campaign.

    Attributes:
        ad_id: the ad.
        leader: the campaign's row of `top_spenders`, or None.
        ad, ad_group, campaign: their rows as stored, or None.
        baseline_at: when the ad was the first leader seen in the campaign; None if another was.
        flagged_at: when it was flagged in this campaign; None if it never was.
        is_copy: whether the ledger of duplications made it.
        campaign_flagged_at: when any ad of the campaign was last flagged.
        flagged_lately: the account's flags of the last 24 hours, and those about to be made.
    """

    ad_id: str
    leader: Mapping[str, Any] | None = None
    ad: Mapping[str, Any] | None = None
    ad_group: Mapping[str, Any] | None = None
    campaign: Mapping[str, Any] | None = None
    baseline_at: datetime | None = None
    flagged_at: datetime | None = None
    is_copy: bool = False
    campaign_flagged_at: datetime | None = None
    flagged_lately: Sequence[datetime] = field(default=())


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a candidate is not flagged: the guardrail, and a sentence a person can act on."""

    guardrail: str
    reason: str


GuardrailCheck = Callable[[Candidate, Settings, datetime], str | None]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One rule.

    Attributes:
        name: in one word or two.
        meaning: what it asks of an ad.
        check: the reason it holds an ad back, or None.
        is_final: what it holds back needs no further look.
    """

    name: str
    meaning: str
    check: GuardrailCheck
    is_final: bool = False


def evaluate_guardrails(candidate: Candidate, settings: Settings, now: datetime) -> tuple[Hold, ...]:
    """Why a candidate is not flagged now; nothing if it may be.

    Args:
        candidate: with a leader that is this ad, or it is held back for that.
        settings: the limits.
        now: aware.
    """
    found: list[Hold] = []
    for guardrail in GUARDRAILS:
        reason = guardrail.check(candidate, settings, now)
        if reason:
            found.append(Hold(guardrail.name, reason))
            if guardrail.is_final:
                break
    return tuple(found)


def _first_leader(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    if candidate.baseline_at is None:
        return None
    return f"it led the campaign when it was first looked at, {_at(candidate.baseline_at)}, so it is not new"


def _already_flagged(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    return (
        f"it was flagged {_at(candidate.flagged_at)}, and an ad is told of once" if candidate.flagged_at else None
    )


def _leads(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    leader = candidate.leader
    if leader is None:
        return "no ranking of its campaign is stored"
    if leader["ad_id"] == candidate.ad_id:
        return None
    return f"it no longer leads: ad {leader['ad_id']} does, with {leader['spend']} {leader['currency']}"


def _min_spend(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    if leader["spend"] >= settings.min_spend:
        return None
    currency = leader["currency"]
    return (
        f"it has spent {leader['spend']} {currency}, less than TIKTOK_MIN_SPEND of {settings.min_spend} {currency}"
    )


def _min_lead(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    second: Decimal | None = leader["runner_up_spend"]
    if not second or leader["spend"] >= second * (1 + settings.min_lead):
        return None
    lead = (leader["spend"] / second - 1) * 100
    return (
        f"its {leader['spend']} {leader['currency']} are {lead:.2f} % ahead of the runner-up's {second},"
        f" less than TIKTOK_MIN_LEAD of {settings.min_lead * 100:.2f} %"
    )


def _delivering(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    for attribute, spoken in _OBJECTS:
        row = getattr(candidate, attribute)
        if row is None:
            return f"{spoken} is not in the table `{attribute}s` yet"
        secondary = row["secondary_status"] or ""
        if any(word in secondary for word in _STOPPED):
            return f"{spoken} does not deliver: its status is {secondary}"
        if row["operation_status"] not in {None, "ENABLE"}:
            return f"{spoken} does not deliver: it is switched to {row['operation_status']}"
    return None


def _no_copy(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    if candidate.is_copy:
        return "it is a copy this project made, by its ledger"
    name = (candidate.ad or {}).get("ad_name") or ""
    return f"it is a copy this project made, by the end of its name: {name[-20:]}" if has_marker(name) else None


def _not_scaling(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    leader = candidate.leader or {}
    if settings.scaling_campaigns.get(leader["advertiser_id"]) != leader["campaign_id"]:
        return None
    return (
        f"campaign {leader['campaign_id']} is the one in TIKTOK_SCALING_CAMPAIGNS, into which winners are copied"
    )


def _copyable(candidate: Candidate, _: Settings, __: datetime) -> str | None:
    for attribute, spoken in _OBJECTS:
        row = getattr(candidate, attribute) or {}
        if kind := find_uncopyable_kind({**row, **json.loads(row.get("extra") or "{}")}):
            return f"{spoken} is {kind}, which cannot be read and created again"
    return None


def _name(candidate: Candidate, settings: Settings, _: datetime) -> str | None:
    found = (
        re.search(settings.exclude_names, (candidate.ad or {}).get("ad_name") or "")
        if settings.exclude_names
        else None
    )
    return f"TIKTOK_EXCLUDE_NAMES finds {found[0]!r} in its name" if found else None


def _cool_down(candidate: Candidate, settings: Settings, now: datetime) -> str | None:
    last, days = candidate.campaign_flagged_at, settings.flag_cooldown_days
    if last is None or now >= last + timedelta(days):
        return None
    return (
        f"another ad of the campaign was flagged {_at(last)};"
        f" TIKTOK_FLAG_COOLDOWN_DAYS of {days} end {_at(last + timedelta(days))}"
    )


def _daily_cap(candidate: Candidate, settings: Settings, now: datetime) -> str | None:
    lately = sum(at > now - DAILY_CAP_WINDOW for at in candidate.flagged_lately)
    if lately < settings.flags_per_day:
        return None
    return f"the account has {lately} flags within 24 hours, and TIKTOK_FLAGS_PER_DAY is {settings.flags_per_day}"


def _at(instant: datetime | None) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if instant else ""


GUARDRAILS: tuple[Guardrail, ...] = (
    Guardrail("new", "was not the first leader seen in its campaign", _first_leader, is_final=True),
    Guardrail("once", "was not flagged before", _already_flagged, is_final=True),
    Guardrail("leads", "still leads its campaign", _leads, is_final=True),
    Guardrail("spend", "has spent TIKTOK_MIN_SPEND", _min_spend),
    Guardrail("lead", "is TIKTOK_MIN_LEAD ahead of the runner-up, where there is one", _min_lead),
    Guardrail("delivering", "delivers, as do its ad group and its campaign", _delivering),
    Guardrail("original", "is not itself one of our copies", _no_copy),
    Guardrail("testing", "is not in the scaling campaign already", _not_scaling),
    Guardrail("copyable", "is of a kind that can be copied", _copyable),
    Guardrail("name", "has no name that TIKTOK_EXCLUDE_NAMES finds", _name),
    Guardrail("cool_down", "comes TIKTOK_FLAG_COOLDOWN_DAYS after the campaign's last flag", _cool_down),
    Guardrail("daily_cap", "is within TIKTOK_FLAGS_PER_DAY of its account", _daily_cap),
)
"""Asked in this order; docs and the sensor's messages use these names."""
