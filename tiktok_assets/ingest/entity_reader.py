"""Read campaigns, ad groups and ads, with the TopView and Promote objects that lists omit by default.

TikTok returns TopView and Promote objects only to a request with a filter for them. The first list that a reader
reads of an account therefore sends one extra request per kind for its campaigns. Ad groups and ads of a kind are
requested only where the account has campaigns of that kind.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tiktok_assets.api.errors import RequestError, TikTokError
from tiktok_assets.api.paged_query import PagedQuery
from tiktok_assets.api.pagination import FetchResult
from tiktok_assets.ingest.queries import build_entity_request, merge_fetched
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec.entities import CAMPAIGNS, Entity, SpecialCampaignType

Filters = Mapping[str, list[str]]
EntityResponse = FetchResult[pl.DataFrame] | TikTokError


def fetch_entities(
    reader: Reader, entity: Entity, advertiser_ids: Sequence[str], filters: Filters
) -> Iterator[tuple[str, EntityResponse]]:
    """Yield each account's objects, those of hidden kinds among them, or the error that kept them away.

    A question narrowed by filters asks for hidden kinds only where it finds nothing else.

    Args:
        reader: what reads, and remembers which kinds an account has.
        entity: whose objects.
        advertiser_ids: the accounts, in the order they come out.
        filters: narrows by the API's filter names.
    """
    lost = {} if filters or entity is CAMPAIGNS else _find_held_kinds(reader, advertiser_ids)
    kinds = {owner: () if filters else _kinds_to_query(reader, entity, owner) for owner in advertiser_ids}
    asked = ((owner, kind) for owner in advertiser_ids for kind in (None, *kinds[owner]))
    listings = (build_entity_request(entity, owner, filters, reader.now, kind) for owner, kind in asked)
    answers = reader.fetcher.fetch_each(listings)
    for owner in advertiser_ids:
        _, shown = next(answers)
        hidden = {kind: next(answers)[1] for kind in kinds[owner]}
        if filters and not isinstance(shown, TikTokError) and not shown.rows:
            more = [build_entity_request(entity, owner, filters, reader.now, kind) for kind in reader.hidden_kinds]
            found = reader.fetcher.fetch_each(more)
            hidden = {kind: answer for kind, (_, answer) in zip(reader.hidden_kinds, found, strict=True)}
        if entity is CAMPAIGNS and not filters:
            _store_held_kinds(reader, owner, hidden)
        yield owner, lost.get(owner) or _merge_responses(entity, shown, hidden)


def _kinds_to_query(reader: Reader, entity: Entity, owner: str) -> tuple[SpecialCampaignType, ...]:
    if entity is not CAMPAIGNS:
        return reader.held_kinds.get(owner, ())
    if owner in reader.kinds_listed:  # read again: the account may have got some since
        return reader.hidden_kinds
    reader.kinds_listed.add(owner)
    return reader.held_kinds.get(owner, reader.hidden_kinds)


def _find_held_kinds(reader: Reader, advertiser_ids: Sequence[str]) -> dict[str, TikTokError]:
    """Find which kinds the accounts have that were not looked at; return the errors of those that cannot be."""
    unknown = [owner for owner in advertiser_ids if owner not in reader.held_kinds]
    listings: list[PagedQuery[pl.DataFrame]] = [
        build_entity_request(CAMPAIGNS, owner, {}, reader.now, kind)
        for owner in unknown
        for kind in reader.hidden_kinds
    ]
    answers = reader.fetcher.fetch_each(listings)
    lost = {}
    for owner in unknown:
        hidden = {kind: next(answers)[1] for kind in reader.hidden_kinds}
        if error := _store_held_kinds(reader, owner, hidden):
            lost[owner] = error
    return lost


def _store_held_kinds(
    reader: Reader, owner: str, hidden: Mapping[SpecialCampaignType, EntityResponse]
) -> TikTokError | None:
    """Note which kinds of campaigns an account has; return the error that leaves it open, if there is one."""
    for kind, answer in hidden.items():
        if isinstance(answer, RequestError):
            reader.refused_kinds[kind.name] = str(answer)
        elif isinstance(answer, TikTokError):
            return answer
    reader.held_kinds[owner] = tuple(
        kind for kind, answer in hidden.items() if not isinstance(answer, TikTokError) and answer.rows
    )
    return None


def _merge_responses(
    entity: Entity, shown: EntityResponse, hidden: Mapping[SpecialCampaignType, EntityResponse]
) -> EntityResponse:
    """Return what is shown with what is hidden; a kind TikTok refuses to tell of is left out (`refused_kinds`)."""
    found = []
    for answer in (shown, *hidden.values()):
        if isinstance(answer, RequestError) and answer is not shown:
            continue
        if isinstance(answer, TikTokError):
            return answer
        found.append(answer)
    if len(found) == 1:
        return found[0]
    whole = merge_fetched(found)
    rows = [one for one in whole.pages if one.height] or whole.pages[:1]
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    # A host whose lists show a kind unasked tells the same objects twice.
    frame = pl.concat(rows).unique([key], keep="first", maintain_order=True) if len(found) > 1 else rows[0]
    return FetchResult([frame], frame.height, whole.read_at, whole.tally, whole.seconds, whole.request_id)
