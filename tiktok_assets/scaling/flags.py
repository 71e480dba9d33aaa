"""Which ads that began to lead are flagged, once each, and why the others are held back."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import polars as pl
import sqlalchemy as sa

from tiktok_assets.scaling.alerts import top_spender_alert
from tiktok_assets.scaling.approvals import Code, issue
from tiktok_assets.scaling.changes import facts_of
from tiktok_assets.scaling.duplication import Wish
from tiktok_assets.scaling.guardrails import Candidate, Hold, holds
from tiktok_assets.scaling.links import scaling_campaign
from tiktok_assets.scaling.outbox import destinations_of, put
from tiktok_assets.scaling.ranking import TOP_SPENDERS_SCHEMA
from tiktok_assets.settings import Settings
from tiktok_assets.spec.entities import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS, Entity
from tiktok_assets.storage.hive_parquet import HiveStore
from tiktok_assets.storage.state import State, duplication_steps, flags, top_spender_changes, utc_now
from tiktok_assets.tables import entity_columns, schema_of

Row = Mapping[str, Any]
Pair = tuple[str, str, str]
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

    pair: Pair
    facts: dict[str, Any]
    holds: tuple[Hold, ...]

    @property
    def flag_id(self) -> str:
        """The id of its flag and alert."""
        return flag_id_of(*self.pair)

    @property
    def reason(self) -> str:
        """What holds it back, in words; empty if nothing does."""
        return "; ".join(hold.reason for hold in self.holds)


def flag_id_of(advertiser_id: str, campaign_id: str, ad_id: str) -> str:
    """A short name that is the same wherever and whenever it is asked for."""
    return sha256(f"{advertiser_id}:{campaign_id}:{ad_id}".encode()).hexdigest()[:16]


def assess(
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
        past = _past(connection, mine & ~_IS_FLAGGED)
    return _judged(past, _stored(store, past.began), settings, now)


def flag(state: State, store: HiveStore, settings: Settings, pair: Pair, now: datetime) -> Assessment:
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
        began = _past(connection, this).began
    stored = _stored(store, began)  # before the transaction that decides, which others wait for
    with state.transaction() as connection:
        judged = _judged(_past(connection, this), stored, settings, now)
        if not judged:
            raise LookupError(
                f"ad {ad_id} never began to lead campaign {campaign_id} of advertiser {advertiser_id}"
            )
        (found,) = judged
        if not found.holds:
            key = {"advertiser_id": advertiser_id, "campaign_id": campaign_id, "ad_id": ad_id}
            row = {"flag_id": found.flag_id, **key, "flagged_at": now, "facts": found.facts}
            connection.execute(sa.insert(flags).values(row))
            code = _code(connection, found, settings)
            alert = top_spender_alert(found.flag_id, found.facts, settings, code)
            put(connection, alert, destinations_of(settings), now)
    return found


def _code(connection: sa.Connection, found: Assessment, settings: Settings) -> Code | None:
    """The code that approves the ad's duplication; counted by this machine's clock, not by the API's."""
    advertiser_id, _, ad_id = found.pair
    target = scaling_campaign(settings, advertiser_id)
    return issue(connection, Wish(advertiser_id, ad_id, target), found.flag_id, utc_now()) if target else None


@dataclass(frozen=True, slots=True)
class _Past:
    """What the state remembers: who began to lead, and what matters of the rest."""

    began: Mapping[Pair, Row]
    baselines: Mapping[Pair, datetime]
    flagged: Mapping[Pair, datetime]
    copies: frozenset[str]


def _past(connection: sa.Connection, mine: sa.ColumnElement[bool]) -> _Past:
    c, f = _CHANGES, flags.c
    columns = (c.advertiser_id, c.campaign_id, c.ad_id, c.previous_ad_id, c.observed_at, c.facts)
    changes = sa.select(*columns).where(mine, c.previous_ad_id.is_not(None)).order_by(c.observed_at, c.change_id)
    # In order, so that of an ad that led several times the newest change is kept.
    began = {_pair(row): row for row in _read(connection, changes)}
    accounts = {advertiser_id for advertiser_id, _, _ in began}
    first = sa.select(*columns[:3], c.observed_at).where(c.advertiser_id.in_(accounts), c.previous_ad_id.is_(None))
    told = sa.select(f.advertiser_id, f.campaign_id, f.ad_id, f.flagged_at).where(f.advertiser_id.in_(accounts))
    made = sa.select(duplication_steps.c.object_id).where(
        duplication_steps.c.object_id.in_({ad_id for _, _, ad_id in began})
    )
    return _Past(
        began,
        {_pair(row): row["observed_at"] for row in _read(connection, first)},
        {_pair(row): row["flagged_at"] for row in _read(connection, told)},
        frozenset(map(str, connection.scalars(made))),
    )


@dataclass(frozen=True, slots=True)
class _Stored:
    """The rows of the tables that concern those who began to lead, by their ids."""

    leaders: Mapping[tuple[str, str], Row]
    ads: Mapping[str, Row] = field(default_factory=dict)
    ad_groups: Mapping[str, Row] = field(default_factory=dict)
    campaigns: Mapping[str, Row] = field(default_factory=dict)
    advertisers: Mapping[str, Row] = field(default_factory=dict)


def _stored(store: HiveStore, began: Mapping[Pair, Row]) -> _Stored:
    """Read as little as may be: the account tables only of accounts where one of the ads still leads."""
    ids = {advertiser_id for advertiser_id, _, _ in began}
    if not ids:
        return _Stored({})
    ranking = store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=ids).collect().to_dicts()
    leaders = {(row["advertiser_id"], row["campaign_id"]): row for row in ranking}
    leading = [pair for pair in began if leaders.get(pair[:2], {}).get("ad_id") == pair[2]]
    if not leading:
        return _Stored(leaders)
    owners = {advertiser_id for advertiser_id, _, _ in leading}
    previous = {began[pair]["previous_ad_id"] for pair in leading}
    ads = _rows(store, ADS, "ad_id", owners, previous | {ad_id for _, _, ad_id in leading})
    return _Stored(
        leaders,
        ads,
        _rows(store, AD_GROUPS, "ad_group_id", owners, {row["ad_group_id"] for row in ads.values()}),
        _rows(store, CAMPAIGNS, "campaign_id", owners, {campaign_id for _, campaign_id, _ in leading}),
        _rows(store, ADVERTISERS, "advertiser_id", None, owners),
    )


def _rows(store: HiveStore, entity: Entity, key: str, owners: set[str] | None, ids: set[Any]) -> dict[str, Row]:
    frame = store.scan(entity.table, schema_of(entity_columns(entity)), advertiser_ids=owners)
    return {row[key]: row for row in frame.filter(pl.col(key).is_in(ids)).collect().to_dicts()}


def _judged(past: _Past, stored: _Stored, settings: Settings, now: datetime) -> list[Assessment]:
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
        held = holds(candidate, settings, now)
        if not held:
            by_account[advertiser_id].append(now)
        found.append(Assessment(pair, _facts(candidate, change, stored), held))
    return found


def _facts(candidate: Candidate, change: Row, stored: _Stored) -> dict[str, Any]:
    """The ranking's row while the ad leads, and who led before."""
    leader = candidate.leader
    if leader is None or leader["ad_id"] != candidate.ad_id:
        return {**change["facts"], "previous_ad_id": change["previous_ad_id"]}
    return {
        **facts_of(leader),
        "advertiser_name": stored.advertisers.get(leader["advertiser_id"], {}).get("name"),
        "previous_ad_id": change["previous_ad_id"],
        "previous_ad_name": stored.ads.get(change["previous_ad_id"], {}).get("ad_name"),
    }


def _read(connection: sa.Connection, question: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(question).mappings()]


def _pair(row: Row) -> Pair:
    return row["advertiser_id"], row["campaign_id"], row["ad_id"]
