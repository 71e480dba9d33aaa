"""Flag each new top spender once, in one transaction with its alert and approval code."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from tiktok_assets.alerts import (
    ALERTS_FOLDER,
    draw_picture,
    enqueue,
    find_scaling_campaign,
    list_channels,
    write_picture,
)
from tiktok_assets.duplication import (
    UNKNOWN,
    ApprovalCode,
    DuplicationRequest,
    explain_duplication,
    is_deleted,
    issue_code,
)
from tiktok_assets.settings import Settings
from tiktok_assets.storage import HiveStore, State, duplication_steps, flags, top_spender_changes, utc_now
from tiktok_assets.top_spenders.alert import build_top_spender_alert
from tiktok_assets.top_spenders.guardrails import Candidate, Hold, evaluate_guardrails
from tiktok_assets.top_spenders.leader_changes import to_json_values
from tiktok_assets.top_spenders.picture import build_top_spender_picture
from tiktok_assets.top_spenders.stored_rows import AdKey, Row, StoredRows, read_stored_rows

_CHANGES = top_spender_changes.c
_IS_FLAGGED = sa.exists().where(
    flags.c.advertiser_id == _CHANGES.advertiser_id,
    flags.c.campaign_id == _CHANGES.campaign_id,
    flags.c.ad_id == _CHANGES.ad_id,
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The result of the guardrails for an ad that took the lead and was not flagged yet.

    Attributes:
        ad_key: advertiser, campaign and ad.
        facts: its numbers as JSON values: of the stored ranking while it leads, else of when it took the lead.
        holds: why it is not flagged now; empty if it can be flagged.
    """

    ad_key: AdKey
    facts: dict[str, Any]
    holds: tuple[Hold, ...]

    @property
    def flag_id(self) -> str:
        """The id of its flag and alert."""
        return compute_flag_id(*self.ad_key)

    @property
    def reason(self) -> str:
        """The reasons of all holds; "" if there are none."""
        return "; ".join(hold.reason for hold in self.holds)


def compute_flag_id(advertiser_id: str, campaign_id: str, ad_id: str) -> str:
    """Compute the id of a flag, the same at any time on any machine."""
    return sha256(f"{advertiser_id}:{campaign_id}:{ad_id}".encode()).hexdigest()[:16]


def assess_ads(
    state: State, store: HiveStore, settings: Settings, now: datetime, advertiser_ids: Sequence[str] | None = None
) -> list[Assessment]:
    """Evaluate the guardrails for every ad that took the lead and was not flagged; writes nothing.

    Args:
        state: contains the leader changes and the flags so far.
        store: contains `top_spenders` and the account tables.
        settings: the guardrails' limits.
        now: aware.
        advertiser_ids: only these; None for all.

    Returns:
        The assessments in the order in which the ads took the lead. Each ad without a hold counts against the
        daily cap of those after it.
    """
    is_wanted = sa.true() if advertiser_ids is None else _CHANGES.advertiser_id.in_(list(advertiser_ids))
    with state.transaction() as connection:
        history = _read_history(connection, is_wanted & ~_IS_FLAGGED)
    return _assess_history(history, read_stored_rows(store, history.changes, settings), settings, now)


def record_flag(state: State, store: HiveStore, settings: Settings, ad_key: AdKey, now: datetime) -> Assessment:
    """Flag one ad and enqueue its alert, in one transaction, unless a guardrail holds it back.

    Args:
        state: where flag and alert are written.
        store: contains `top_spenders` and the account tables.
        settings: the guardrails' limits and the alert channels.
        ad_key: advertiser, campaign and ad.
        now: aware.

    Returns:
        The assessment; the ad is flagged if it has no holds.

    Raises:
        LookupError: if this ad never took the lead in this campaign.
    """
    advertiser_id, campaign_id, ad_id = ad_key
    is_same_ad = (
        (_CHANGES.advertiser_id == advertiser_id)
        & (_CHANGES.campaign_id == campaign_id)
        & (_CHANGES.ad_id == ad_id)
    )
    with state.transaction() as connection:
        changes = _read_history(connection, is_same_ad).changes
    # Before the deciding transaction, which blocks others.
    stored = read_stored_rows(store, changes, settings)
    leader = stored.leaders.get((advertiser_id, campaign_id))
    picture = None
    if leader and leader["ad_id"] == ad_id:
        picture = build_top_spender_picture(store, leader, stored.ads.get((advertiser_id, ad_id)))
    drawn = draw_picture(picture) if picture else b""
    with state.transaction() as connection:
        assessments = _assess_history(_read_history(connection, is_same_ad), stored, settings, now)
        if not assessments:
            raise LookupError(
                f"ad {ad_id} never began to lead campaign {campaign_id} of advertiser {advertiser_id}"
            )
        (assessment,) = assessments
        if not assessment.holds:
            key = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
            row = {"flag_id": assessment.flag_id, **key, "flagged_at": now, "facts": assessment.facts}
            connection.execute(sa.insert(flags).values(row))
            code = _issue_approval_code(connection, assessment, settings)
            alert = build_top_spender_alert(assessment.flag_id, assessment.facts, settings, code, picture)
            if drawn:  # before the commit, after which the alert may be delivered at any time
                write_picture(settings.state_dir / ALERTS_FOLDER, assessment.flag_id, drawn)
            enqueue(connection, alert, list_channels(settings), now)
    return assessment


def _issue_approval_code(
    connection: sa.Connection, assessment: Assessment, settings: Settings
) -> ApprovalCode | None:
    """Issue the code that approves the ad's duplication, or none for an ad that cannot be duplicated.

    The expiry is by this machine's clock, not the API's.
    """
    advertiser_id, _, ad_id = assessment.ad_key
    campaign_id = find_scaling_campaign(settings, advertiser_id)
    if not campaign_id or assessment.facts.get("duplicable") != "yes":
        return None
    request = DuplicationRequest(advertiser_id, ad_id, campaign_id)
    return issue_code(connection, request, assessment.flag_id, utc_now())


@dataclass(frozen=True, slots=True)
class _FlagHistory:
    """What the state database contains about some ads.

    Attributes:
        changes: the newest change in which each ad took the lead.
        baselines: when an ad was the first leader of its campaign.
        flagged: when an ad of the same accounts was flagged.
        copies: the ids of those ads, or of the Smart+ ads they are creatives of, that a duplication created.
    """

    changes: Mapping[AdKey, Row]
    baselines: Mapping[AdKey, datetime]
    flagged: Mapping[AdKey, datetime]
    copies: frozenset[str]


def _read_history(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> _FlagHistory:
    c, f = _CHANGES, flags.c
    columns = (c.advertiser_id, c.campaign_id, c.ad_id, c.previous_ad_id, c.observed_at, c.facts)
    query = sa.select(*columns).where(condition, c.previous_ad_id.is_not(None))
    # Ordered, so that of an ad that took the lead several times the newest change is kept.
    ordered = query.order_by(c.observed_at, c.change_id)
    changes = {_ad_key(row): row for row in _fetch_rows(connection, ordered)}
    accounts = {advertiser_id for advertiser_id, _, _ in changes}
    first = sa.select(*columns[:3], c.observed_at).where(c.advertiser_id.in_(accounts), c.previous_ad_id.is_(None))
    flagged = sa.select(f.advertiser_id, f.campaign_id, f.ad_id, f.flagged_at).where(f.advertiser_id.in_(accounts))
    ids = {ad_id for _, _, ad_id in changes} | {row["facts"].get("smart_plus_ad_id") for row in changes.values()}
    copies = sa.select(duplication_steps.c.object_id).where(duplication_steps.c.object_id.in_(ids - {None}))
    return _FlagHistory(
        changes,
        {_ad_key(row): row["observed_at"] for row in _fetch_rows(connection, first)},
        {_ad_key(row): row["flagged_at"] for row in _fetch_rows(connection, flagged)},
        frozenset(map(str, connection.scalars(copies))),
    )


def _assess_history(
    history: _FlagHistory, stored: StoredRows, settings: Settings, now: datetime
) -> list[Assessment]:
    by_campaign: dict[tuple[str, str], datetime] = {}
    by_account: dict[str, list[datetime]] = defaultdict(list)
    for key, at in history.flagged.items():
        by_campaign[key[:2]] = max(at, by_campaign.get(key[:2], at))
        by_account[key[0]].append(at)
    assessments = []
    for key, change in history.changes.items():
        advertiser_id, campaign_id, ad_id = key
        leader = stored.leaders.get((advertiser_id, campaign_id))
        rows: dict[str, Row | None] = {
            "ad": stored.ads.get((advertiser_id, ad_id)),
            "ad_group": stored.ad_groups.get((advertiser_id, leader["ad_group_id"])) if leader else None,
            "campaign": stored.campaigns.get((advertiser_id, campaign_id)),
        }
        candidate = Candidate(
            ad_id=ad_id,
            leader=leader,
            **rows,
            unlisted=_find_unlisted(rows, advertiser_id, stored, change["observed_at"]),
            baseline_at=history.baselines.get(key),
            flagged_at=history.flagged.get(key),
            is_copy=bool(history.copies & {ad_id, change["facts"].get("smart_plus_ad_id")}),
            campaign_flagged_at=by_campaign.get((advertiser_id, campaign_id)),
            recent_flags=by_account[advertiser_id],
        )
        holds = evaluate_guardrails(candidate, settings, now)
        if not holds:
            by_account[advertiser_id].append(now)
        target = stored.campaigns.get((advertiser_id, settings.scaling_campaigns.get(advertiser_id, "")))
        assessments.append(Assessment(key, _build_facts(candidate, change, stored, target), holds))
    return assessments


def _find_unlisted(
    rows: Mapping[str, Row | None], advertiser_id: str, stored: StoredRows, observed_at: datetime
) -> frozenset[str]:
    """Find the objects without a row whose table was read after the report: waiting for them is useless."""
    read_at = {name: stored.read_at.get((advertiser_id, name)) for name, row in rows.items() if row is None}
    return frozenset(name for name, at in read_at.items() if at and at > observed_at)


def _build_facts(candidate: Candidate, change: Row, stored: StoredRows, target: Row | None) -> dict[str, Any]:
    """Build the facts of an ad: the ranking's row while it leads, the previous leader, and how to duplicate it."""
    leader, previous_id = candidate.leader, change["previous_ad_id"]
    if leader is None or leader["ad_id"] != candidate.ad_id:
        return {**change["facts"], "previous_ad_id": previous_id}
    duplicability = explain_duplication(candidate.ad, candidate.ad_group, candidate.campaign, target)
    previous = stored.ads.get((leader["advertiser_id"], previous_id)) or {}
    return {
        **to_json_values(leader),
        "advertiser_name": stored.advertisers.get(leader["advertiser_id"], {}).get("name"),
        "previous_ad_id": previous_id,
        "previous_ad_name": previous.get("ad_name"),
        "previous_is_deleted": is_deleted(previous),
        "ad_kind": None if duplicability.kind is UNKNOWN else duplicability.kind.name,
        "duplicable": duplicability.answer,
        "duplication_reason": duplicability.reason,
        "duplication_steps": duplicability.manual_steps or None,
        "scaling_campaign_name": (target or {}).get("campaign_name"),
    }


def _fetch_rows(connection: sa.Connection, query: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _ad_key(row: Row) -> AdKey:
    return row["advertiser_id"], row["campaign_id"], row["ad_id"]
