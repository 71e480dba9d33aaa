"""Read the stored rows about top spenders: the ranking, and the ads, ad groups and campaigns beside it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.ingest import parse_fetched_at
from tiktok_assets.settings import Settings
from tiktok_assets.spec import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS, SMART_PLUS_ADS, Entity, to_column_name
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import build_schema, entity_columns
from tiktok_assets.top_spenders.creatives import AccountTables
from tiktok_assets.top_spenders.ranking import TOP_SPENDERS_SCHEMA

Row = Mapping[str, Any]
ObjectKey = tuple[str, str]
"""The ids of advertiser and object."""
AdKey = tuple[str, str, str]
"""The ids of advertiser, campaign and ad; each key is flagged at most once."""

_HIERARCHY: Mapping[str, Entity] = {"ad": ADS, "ad_group": AD_GROUPS, "campaign": CAMPAIGNS}
_MEDIA_SCHEMA = pl.Schema(
    dict.fromkeys(("advertiser_id", "ad_id", "video_id", "tiktok_item_id", "smart_plus_ad_id"), pl.String())
)
_SMART_PLUS_SCHEMA = pl.Schema(dict.fromkeys(("advertiser_id", "smart_plus_ad_id", "ad_name"), pl.String()))


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The stored rows about the ads to assess.

    Attributes:
        leaders: the rows of `top_spenders` by advertiser and campaign.
        ads: the ads and those that led before them, by advertiser and id.
        ad_groups: their ad groups likewise.
        campaigns: their campaigns and the accounts' scaling campaigns likewise.
        advertisers: their accounts by id.
        read_at: when each table of an account was read, by advertiser and `ad`, `ad_group` or `campaign`.
    """

    leaders: Mapping[ObjectKey, Row]
    ads: Mapping[ObjectKey, Row] = field(default_factory=dict)
    ad_groups: Mapping[ObjectKey, Row] = field(default_factory=dict)
    campaigns: Mapping[ObjectKey, Row] = field(default_factory=dict)
    advertisers: Mapping[str, Row] = field(default_factory=dict)
    read_at: Mapping[tuple[str, str], datetime] = field(default_factory=dict)


def read_stored_rows(store: HiveStore, changes: Mapping[AdKey, Row], settings: Settings) -> StoredRows:
    """Read the ranking, and the account tables only of accounts where one of the ads still leads.

    Args:
        store: contains the tables.
        changes: the newest change in which each ad took the lead.
        settings: name the scaling campaigns.
    """
    ids = {advertiser_id for advertiser_id, _, _ in changes}
    if not ids:
        return StoredRows({})
    ranking = store.scan("top_spenders", TOP_SPENDERS_SCHEMA, advertiser_ids=ids).collect().to_dicts()
    leaders = {(row["advertiser_id"], row["campaign_id"]): row for row in ranking}
    leading = [key for key in changes if leaders.get(key[:2], {}).get("ad_id") == key[2]]
    if not leading:
        return StoredRows(leaders)
    owners = {advertiser_id for advertiser_id, _, _ in leading}
    previous = {changes[key]["previous_ad_id"] for key in leading}
    targets = {settings.scaling_campaigns[owner] for owner in owners if owner in settings.scaling_campaigns}
    groups = {leaders[key[:2]]["ad_group_id"] for key in leading}
    times = {
        (owner, name): parse_fetched_at(store.read_metadata(entity.table, Partition(owner)))
        for owner in owners
        for name, entity in _HIERARCHY.items()
    }
    return StoredRows(
        leaders,
        _read_rows(store, ADS, owners, previous | {ad_id for _, _, ad_id in leading}),
        _read_rows(store, AD_GROUPS, owners, groups),
        _read_rows(store, CAMPAIGNS, owners, targets | {campaign_id for _, campaign_id, _ in leading}),
        {owner: row for (owner, _), row in _read_rows(store, ADVERTISERS, owners, owners).items()},
        {key: at for key, at in times.items() if at},
    )


def read_account_tables(store: HiveStore, leaders: pl.DataFrame) -> AccountTables:
    """Read what the account tables have about top spenders and the other ads of their accounts.

    Args:
        store: contains the account tables; of one that was not read yet nothing is known.
        leaders: rows of `top_spenders`.
    """
    owners = set(leaders.get_column("advertiser_id"))
    names = store.scan(SMART_PLUS_ADS.table, _SMART_PLUS_SCHEMA, advertiser_ids=owners).collect()
    return AccountTables(
        store.scan(ADS.table, _MEDIA_SCHEMA, advertiser_ids=owners).collect(),
        {(owner, ad_id): name for owner, ad_id, name in names.iter_rows()},
        _read_rows(store, ADS, owners, leaders.get_column("ad_id").to_list()),
        _read_rows(store, AD_GROUPS, owners, leaders.get_column("ad_group_id").to_list()),
        _read_rows(store, CAMPAIGNS, owners, leaders.get_column("campaign_id").to_list()),
    )


def _read_rows(store: HiveStore, entity: Entity, owners: set[str], ids: Collection[Any]) -> dict[ObjectKey, Row]:
    key = to_column_name(entity.key)
    accounts = None if entity is ADVERTISERS else owners  # that table is one partition
    frame = store.scan(entity.table, build_schema(entity_columns(entity)), advertiser_ids=accounts)
    rows = frame.filter(pl.col(key).is_in(list(ids))).collect().to_dicts()
    return {(row["advertiser_id"], row[key]): row for row in rows}
