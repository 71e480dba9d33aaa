"""Read entities, with the TopView and Promote objects that the lists of campaigns, ad groups and ads omit.

TikTok lists TopView and Promote objects only if a filter selects them. The first list that a reader reads of an
account therefore sends one extra query per type for its campaigns. Ad groups and ads of a type are queried only
where the account has campaigns of that type. The first refresh of an account sends none of these queries: it is
the largest one, and few accounts have such campaigns.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import polars as pl

from tiktok_assets.api import ContractError, FetchResult, PagedQuery, RequestError, TikTokError, TooManyRowsError
from tiktok_assets.ingest.creation_ranges import read_by_creation
from tiktok_assets.ingest.partitions import SPECIAL_TYPES_KEY, ReadStats
from tiktok_assets.ingest.queries import build_entity_query, merge_results
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec import CAMPAIGNS, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE, Entity, SpecialCampaignType
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import find_key_error

Filters = Mapping[str, list[str]]
EntityResult = FetchResult[pl.DataFrame] | TikTokError


def read_entities(
    reader: Reader,
    entity: Entity,
    advertiser_ids: Iterable[str],
    *,
    filters: Filters | None = None,
    default_only: Collection[str] = (),
) -> Iterator[tuple[str, tuple[pl.DataFrame, ReadStats, datetime] | TikTokError]]:
    """Yield all objects of an entity per account, deleted, TopView and Promote ones included, or the error.

    Args:
        reader: the connection and its state.
        entity: the entity to read.
        advertiser_ids: the accounts, in the order in which they are yielded.
        filters: values by the API's filter names, such as `campaign_ids`.
        default_only: accounts that are not searched for TopView and Promote, see `select_first_refreshes`.
    """
    for advertiser_id, result in _fetch_entities(
        reader, entity, list(advertiser_ids), filters or {}, default_only
    ):
        if isinstance(result, TikTokError):
            yield advertiser_id, result
            continue
        rows = pl.concat(result.pages) if result.rows else result.pages[0].clear()
        key = [column.name for column in entity.columns if column.api_name == entity.key]
        if fault := find_key_error(rows, key, advertiser_id):
            yield advertiser_id, ContractError(fault, endpoint=entity.endpoint.path)
            continue
        fetched_at = rows.get_column("fetched_at").max() if result.rows else reader.now()
        assert isinstance(fetched_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
        yield (
            advertiser_id,
            (
                rows.sort(key),
                ReadStats.from_request_stats(result.stats, result.seconds),
                fetched_at,
            ),
        )


def _fetch_entities(
    reader: Reader, entity: Entity, advertiser_ids: Sequence[str], filters: Filters, default_only: Collection[str]
) -> Iterator[tuple[str, EntityResult]]:
    """Yield the objects of each account, special types included, or the error.

    A query with filters lists special types only where it finds nothing else.

    Args:
        reader: the connection, and the special types found so far by account.
        entity: the entity to read.
        advertiser_ids: the accounts, in the order in which they are yielded.
        filters: values by the API's filter names.
        default_only: accounts that are not searched for special types.
    """
    finds_types = entity.has_special_types and entity is not CAMPAIGNS and not filters
    searched = [owner for owner in advertiser_ids if owner not in default_only]
    errors = _find_account_types(reader, searched) if finds_types else {}
    types: dict[str, tuple[SpecialCampaignType, ...]] = dict.fromkeys(advertiser_ids, ())
    if not filters:
        types |= {owner: _types_to_query(reader, entity, owner) for owner in searched}
    planned = ((owner, one) for owner in advertiser_ids for one in (None, *types[owner]))
    queries = (build_entity_query(entity, owner, filters, reader.now, one) for owner, one in planned)
    results = reader.fetcher.fetch_each(queries)
    for owner in advertiser_ids:
        _, default = next(results)
        special = {one: next(results)[1] for one in types[owner]}
        if filters and entity.has_special_types and not isinstance(default, TikTokError) and not default.rows:
            more = [build_entity_query(entity, owner, filters, reader.now, one) for one in reader.special_types]
            found = reader.fetcher.fetch_each(more)
            special = {one: result for one, (_, result) in zip(reader.special_types, found, strict=True)}
        if entity is CAMPAIGNS and not filters and owner not in default_only:
            _record_account_types(reader, owner, special)
        if isinstance(default, TooManyRowsError):
            default = read_by_creation(reader, entity, owner, filters, default)
        yield owner, errors.get(owner) or _merge_special_types(entity, default, special)


def _types_to_query(reader: Reader, entity: Entity, owner: str) -> tuple[SpecialCampaignType, ...]:
    if not entity.has_special_types:
        return ()
    if entity is not CAMPAIGNS:
        return reader.account_types.get(owner, ())
    if owner in reader.listed_accounts:  # listed again: campaigns of a type may have been created since
        return reader.special_types
    reader.listed_accounts.add(owner)
    return reader.account_types.get(owner, reader.special_types)


def _find_account_types(reader: Reader, advertiser_ids: Sequence[str]) -> dict[str, TikTokError]:
    """Find the special types of accounts not queried before; return the errors of the accounts that failed."""
    unknown = [owner for owner in advertiser_ids if owner not in reader.account_types]
    queries: list[PagedQuery[pl.DataFrame]] = [
        build_entity_query(CAMPAIGNS, owner, {}, reader.now, one)
        for owner in unknown
        for one in reader.special_types
    ]
    results = reader.fetcher.fetch_each(queries)
    errors = {}
    for owner in unknown:
        special = {one: next(results)[1] for one in reader.special_types}
        if error := _record_account_types(reader, owner, special):
            errors[owner] = error
    return errors


def _record_account_types(
    reader: Reader, owner: str, special: Mapping[SpecialCampaignType, EntityResult]
) -> TikTokError | None:
    """Record the special types an account has campaigns of; return the error that leaves it unknown, if any."""
    for one, result in special.items():
        if isinstance(result, RequestError):
            reader.refused_types[one.name] = str(result)
        elif isinstance(result, TikTokError):
            return result
    reader.account_types[owner] = tuple(
        one for one, result in special.items() if not isinstance(result, TikTokError) and result.rows
    )
    return None


def _merge_special_types(
    entity: Entity, default: EntityResult, special: Mapping[SpecialCampaignType, EntityResult]
) -> EntityResult:
    """Merge the default list with those of special types; a type that TikTok refuses to list is skipped."""
    found = []
    for result in (default, *special.values()):
        if isinstance(result, RequestError) and result is not default:
            continue
        if isinstance(result, TikTokError):
            return result
        found.append(result)
    if len(found) == 1:
        return found[0]
    merged = merge_results(found)
    pages = [one for one in merged.pages if one.height] or merged.pages[:1]
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    # A host whose default list includes the objects of a special type returns them twice.
    frame = pl.concat(pages).unique([key], keep="first", maintain_order=True) if len(found) > 1 else pages[0]
    return FetchResult([frame], frame.height, merged.read_at, merged.stats, merged.seconds, merged.request_id)


def select_first_refreshes(
    reader: Reader, store: HiveStore, entity: Entity, advertiser_ids: Iterable[str]
) -> set[str]:
    """Return the accounts that are refreshed for the first time; record the stored special types of the others.

    Args:
        reader: the connection, and the special types found so far by account.
        store: the stored tables.
        entity: the entity to refresh.
        advertiser_ids: the accounts.
    """
    if not entity.has_special_types or not reader.special_types:
        return set()
    first = set()
    for owner in advertiser_ids:
        if owner in reader.account_types:
            continue
        stored = None if entity is CAMPAIGNS else _load_stored_types(store, owner)
        if stored is not None:
            reader.account_types[owner] = stored
            reader.listed_accounts.add(owner)
        elif store.read_metadata(entity.table, Partition(owner)) is None:
            first.add(owner)
    return first


def special_types_metadata(reader: Reader, entity: Entity, advertiser_id: str) -> dict[str, str]:
    """Return the metadata entry for the special types of an account, for the partition of its campaigns."""
    found = reader.account_types.get(advertiser_id) if entity is CAMPAIGNS else None
    return {} if found is None else {SPECIAL_TYPES_KEY: ",".join(one.name for one in found)}


def _load_stored_types(store: HiveStore, advertiser_id: str) -> tuple[SpecialCampaignType, ...] | None:
    text = (store.read_metadata(CAMPAIGNS.table, Partition(advertiser_id)) or {}).get(SPECIAL_TYPES_KEY)
    return None if text is None else tuple(one for one in TOPVIEW_AND_PROMOTE if one.name in text.split(","))


def plan_special_type_requests(store: HiveStore, advertiser_id: str, tables: Collection[str]) -> dict[str, int]:
    """Return, by table, the requests for TopView and Promote that a refresh of these tables sends for an account.

    Args:
        store: the stored tables.
        advertiser_id: the account.
        tables: the tables to refresh.
    """
    wanted = [one for one in LISTED_ENTITIES if one.has_special_types and one.table in tables]
    if not wanted:
        return {}
    stored = _load_stored_types(store, advertiser_id)
    requests = {entity.table: len(stored or ()) for entity in wanted}
    searches = stored is None or wanted[0] is CAMPAIGNS
    if searches and store.read_metadata(wanted[0].table, Partition(advertiser_id)) is not None:
        requests[wanted[0].table] = len(TOPVIEW_AND_PROMOTE)
    return requests
