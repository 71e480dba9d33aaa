"""Flag each new top spender once, in one transaction with its alert and approval code."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.alerts.check_failures import build_top_spender_alert
from tiktok_assets.alerts.dagster_urls import find_scaling_campaign
from tiktok_assets.alerts.outbox import enqueue, list_channels
from tiktok_assets.duplication.approvals import ApprovalCode, issue_code
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS, Entity
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.storage.state import State, duplication_steps, flags, top_spender_changes, utc_now
from tiktok_assets.tables.frames import build_schema, entity_columns
from tiktok_assets.top_spenders.guardrails import Candidate, Hold, evaluate_guardrails
from tiktok_assets.top_spenders.leader_changes import to_json_values
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA

Row = Mapping[str, Any]
AdKey = tuple[str, str, str]
"""Advertiser, campaign and ad: what is flagged once, ever."""

_CHANGES = top_spender_changes.c
_IS_FLAGGED = sa.exists().where(
    flags.c.advertiser_id == _CHANGES.advertiser_id,
    flags.c.campaign_id == _CHANGES.campaign_id,
    flags.c.ad_id == _CHANGES.ad_id,
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """An ad that began to lead and was not flagged yet: what holds it back, or nothing.

    Attributes:
        pair: advertiser, campaign and ad.
        facts: its numbers as JSON values: of the stored ranking while it leads, else of when it began to lead.
        holds: the reasons it is not flagged now.
    """

    pair: AdKey
    facts: dict[str, Any]
    holds: tuple[Hold, ...]

    @property
    def flag_id(self) -> str:
        """The id of its flag and alert."""
        return compute_flag_id(*self.pair)

    @property
    def reason(self) -> str:
        """What holds it back, in words; empty if nothing does."""
        return "; ".join(hold.reason for hold in self.holds)


def compute_flag_id(advertiser_id: str, campaign_id: str, ad_id: str) -> str:
    """A short name that is the same wherever and whenever it is asked for."""
    return sha256(f"{advertiser_id}:{campaign_id}:{ad_id}".encode()).hexdigest()[:16]


def assess_ads(
    state: State, store: HiveStore, settings: Settings, now: datetime, advertiser_ids: Sequence[str] | None = None
) -> list[Assessment]:
    """Look at every ad that began to lead and was not flagged; changes nothing.

    Args:
        state: with the changes of leader and the flags so far.
        store: with `top_spenders` and the account tables.
        settings: the guardrails' limits.
        now: aware.
        advertiser_ids: only these; None for all.

    Returns:
        In the order in which they began to lead. So that no more are found free than the daily cap lets through,
        those found free earlier count against it.
    """
    mine = sa.true() if advertiser_ids is None else _CHANGES.advertiser_id.in_(list(advertiser_ids))
    with state.transaction() as connection:
        past = _read_history(connection, mine & ~_IS_FLAGGED)
    return _assess_history(past, _read_stored_rows(store, past.began), settings, now)


def record_flag(state: State, store: HiveStore, settings: Settings, pair: AdKey, now: datetime) -> Assessment:
    """Flag one ad and put its alert into the outbox, in one transaction, if nothing holds it back.

    Args:
        state: where flag and alert go.
        store: with `top_spenders` and the account tables.
        settings: the guardrails' limits and the receivers of alerts.
        pair: advertiser, campaign and ad.
        now: aware.

    Returns:
        What was found: flagged, or with what holds it back by now.

    Raises:
        LookupError: if this ad never began to lead this campaign.
    """
    advertiser_id, campaign_id, ad_id = pair
    this = (
        (_CHANGES.advertiser_id == advertiser_id)
        & (_CHANGES.campaign_id == campaign_id)
        & (_CHANGES.ad_id == ad_id)
    )
    with state.transaction() as connection:
        began = _read_history(connection, this).began
    stored = _read_stored_rows(store, began)  # before the transaction that decides, which others wait for
    with state.transaction() as connection:
        judged = _assess_history(_read_history(connection, this), stored, settings, now)
        if not judged:
            raise LookupError(
                f"ad {ad_id} never began to lead campaign {campaign_id} of advertiser {advertiser_id}"
            )
        (found,) = judged
        if not found.holds:
            key = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
            row = {"flag_id": found.flag_id, **key, "flagged_at": now, "facts": found.facts}
            connection.execute(sa.insert(flags).values(row))
            code = _issue_approval_code(connection, found, settings)
            alert = build_top_spender_alert(found.flag_id, found.facts, settings, code)
            enqueue(connection, alert, list_channels(settings), now)
    return found


def _issue_approval_code(connection: sa.Connection, found: Assessment, settings: Settings) -> ApprovalCode | None:
    """The code that approves the ad's duplication; counted by this machine's clock, not by the API's."""
    advertiser_id, _, ad_id = found.pair
    target = find_scaling_campaign(settings, advertiser_id)
    return (
        issue_code(connection, DuplicationRequest(advertiser_id, ad_id, target), found.flag_id, utc_now())
        if target
        else None
    )


@dataclass(frozen=True, slots=True)
class _FlagHistory:
    """What the state remembers: who began to lead, and what matters of the rest."""

    began: Mapping[AdKey, Row]
    baselines: Mapping[AdKey, datetime]
    flagged: Mapping[AdKey, datetime]
    copies: frozenset[str]


def _read_history(connection: sa.Connection, mine: sa.ColumnElement[bool]) -> _FlagHistory:
    c, f = _CHANGES, flags.c
    columns = (c.advertiser_id, c.campaign_id, c.ad_id, c.previous_ad_id, c.observed_at, c.facts)
    changes = sa.select(*columns).where(mine, c.previous_ad_id.is_not(None)).order_by(c.observed_at, c.change_id)
    # In order, so that of an ad that led several times the newest change is kept.
    began = {_ad_key(row): row for row in _fetch_rows(connection, changes)}
    accounts = {advertiser_id for advertiser_id, _, _ in began}
    first = sa.select(*columns[:3], c.observed_at).where(c.advertiser_id.in_(accounts), c.previous_ad_id.is_(None))
    told = sa.select(f.advertiser_id, f.campaign_id, f.ad_id, f.flagged_at).where(f.advertiser_id.in_(accounts))
    made = sa.select(duplication_steps.c.object_id).where(
        duplication_steps.c.object_id.in_({ad_id for _, _, ad_id in began})
    )
    return _FlagHistory(
        began,
        {_ad_key(row): row["observed_at"] for row in _fetch_rows(connection, first)},
        {_ad_key(row): row["flagged_at"] for row in _fetch_rows(connection, told)},
        frozenset(map(str, connection.scalars(made))),
    )


@dataclass(frozen=True, slots=True)
class _StoredRows:
    """The rows of the tables that concern those who began to lead, by their ids."""

    leaders: Mapping[tuple[str, str], Row]
    ads: Mapping[str, Row] = field(default_factory=dict)
    ad_groups: Mapping[str, Row] = field(default_factory=dict)
    campaigns: Mapping[str, Row] = field(default_factory=dict)
    advertisers: Mapping[str, Row] = field(default_factory=dict)


def _read_stored_rows(store: HiveStore, began: Mapping[AdKey, Row]) -> _StoredRows:
    """Read as little as may be: the account tables only of accounts where one of the ads still leads."""
    ids = {advertiser_id for advertiser_id, _, _ in began}
    if not ids:
        return _StoredRows({})
    ranking = store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=ids).collect().to_dicts()
    leaders = {(row["advertiser_id"], row["campaign_id"]): row for row in ranking}
    leading = [pair for pair in began if leaders.get(pair[:2], {}).get("ad_id") == pair[2]]
    if not leading:
        return _StoredRows(leaders)
    owners = {advertiser_id for advertiser_id, _, _ in leading}
    previous = {began[pair]["previous_ad_id"] for pair in leading}
    ads = _read_entity_rows(store, ADS, "ad_id", owners, previous | {ad_id for _, _, ad_id in leading})
    return _StoredRows(
        leaders,
        ads,
        _read_entity_rows(store, AD_GROUPS, "ad_group_id", owners, {row["ad_group_id"] for row in ads.values()}),
        _read_entity_rows(store, CAMPAIGNS, "campaign_id", owners, {campaign_id for _, campaign_id, _ in leading}),
        _read_entity_rows(store, ADVERTISERS, "advertiser_id", None, owners),
    )


def _read_entity_rows(
    store: HiveStore, entity: Entity, key: str, owners: set[str] | None, ids: set[Any]
) -> dict[str, Row]:
    frame = store.scan(entity.table, build_schema(entity_columns(entity)), advertiser_ids=owners)
    return {row[key]: row for row in frame.filter(pl.col(key).is_in(ids)).collect().to_dicts()}


def _assess_history(
    past: _FlagHistory, stored: _StoredRows, settings: Settings, now: datetime
) -> list[Assessment]:
    by_campaign: dict[tuple[str, str], datetime] = {}
    by_account: dict[str, list[datetime]] = defaultdict(list)
    for pair, at in past.flagged.items():
        by_campaign[pair[:2]] = max(at, by_campaign.get(pair[:2], at))
        by_account[pair[0]].append(at)
    found = []
    for pair, change in past.began.items():
        advertiser_id, campaign_id, ad_id = pair
        ad = stored.ads.get(ad_id)
        candidate = Candidate(
            ad_id=ad_id,
            leader=stored.leaders.get((advertiser_id, campaign_id)),
            ad=ad,
            ad_group=stored.ad_groups.get(ad["ad_group_id"]) if ad else None,
            campaign=stored.campaigns.get(campaign_id),
            baseline_at=past.baselines.get(pair),
            flagged_at=past.flagged.get(pair),
            is_copy=ad_id in past.copies,
            campaign_flagged_at=by_campaign.get((advertiser_id, campaign_id)),
            flagged_lately=by_account[advertiser_id],
        )
        held = evaluate_guardrails(candidate, settings, now)
        if not held:
            by_account[advertiser_id].append(now)
        found.append(Assessment(pair, _build_facts(candidate, change, stored), held))
    return found


def _build_facts(candidate: Candidate, change: Row, stored: _StoredRows) -> dict[str, Any]:
    """The ranking's row while the ad leads, and who led before."""
    leader = candidate.leader
    if leader is None or leader["ad_id"] != candidate.ad_id:
        return {**change["facts"], "previous_ad_id": change["previous_ad_id"]}
    return {
        **to_json_values(leader),
        "advertiser_name": stored.advertisers.get(leader["advertiser_id"], {}).get("name"),
        "previous_ad_id": change["previous_ad_id"],
        "previous_ad_name": stored.ads.get(change["previous_ad_id"], {}).get("ad_name"),
    }


def _fetch_rows(connection: sa.Connection, question: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(question).mappings()]


def _ad_key(row: Row) -> AdKey:
    return row["advertiser_id"], row["campaign_id"], row["ad_id"]
