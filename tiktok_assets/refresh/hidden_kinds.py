"""Read the objects that lists leave out unless a filter asks for them: TopView and Promote.

Whether an account has any is told by its campaigns: one request an account and kind, with the first list a reader
reads of it. The ad groups and ads of a kind are asked for where there are campaigns of it, and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from tiktok_assets.api.errors import RequestError, TikTokError
from tiktok_assets.api.fetch import Fetched
from tiktok_assets.api.pages import Listing
from tiktok_assets.refresh.parts import together
from tiktok_assets.refresh.questions import entity_listing
from tiktok_assets.refresh.reader import Reader
from tiktok_assets.spec.entities import CAMPAIGNS, Entity, HiddenKind

Filters = Mapping[str, list[str]]
Answered = Fetched[pl.DataFrame] | TikTokError


def fetched_entities(
    reader: Reader, entity: Entity, advertiser_ids: Sequence[str], filters: Filters
) -> Iterator[tuple[str, Answered]]:
    """Yield each account's objects, those of hidden kinds among them, or the error that kept them away.

    A question narrowed by filters asks for hidden kinds only where it finds nothing else.

    Args:
        reader: what reads, and remembers which kinds an account has.
        entity: whose objects.
        advertiser_ids: the accounts, in the order they come out.
        filters: narrows by the API's filter names.
    """
    lost = {} if filters or entity is CAMPAIGNS else _look(reader, advertiser_ids)
    kinds = {owner: () if filters else _kinds(reader, entity, owner) for owner in advertiser_ids}
    asked = ((owner, kind) for owner in advertiser_ids for kind in (None, *kinds[owner]))
    listings = (entity_listing(entity, owner, filters, reader.now, kind) for owner, kind in asked)
    answers = reader.fetcher.fetch_each(listings)
    for owner in advertiser_ids:
        _, shown = next(answers)
        hidden = {kind: next(answers)[1] for kind in kinds[owner]}
        if filters and not isinstance(shown, TikTokError) and not shown.rows:
            more = [entity_listing(entity, owner, filters, reader.now, kind) for kind in reader.hidden_kinds]
            found = reader.fetcher.fetch_each(more)
            hidden = {kind: answer for kind, (_, answer) in zip(reader.hidden_kinds, found, strict=True)}
        if entity is CAMPAIGNS and not filters:
            _remember(reader, owner, hidden)
        yield owner, lost.get(owner) or _with_hidden(entity, shown, hidden)


def _kinds(reader: Reader, entity: Entity, owner: str) -> tuple[HiddenKind, ...]:
    if entity is not CAMPAIGNS:
        return reader.held_kinds.get(owner, ())
    if owner in reader.kinds_listed:  # read again: the account may have got some since
        return reader.hidden_kinds
    reader.kinds_listed.add(owner)
    return reader.held_kinds.get(owner, reader.hidden_kinds)


def _look(reader: Reader, advertiser_ids: Sequence[str]) -> dict[str, TikTokError]:
    """Find which kinds the accounts have that were not looked at; return the errors of those that cannot be."""
    unknown = [owner for owner in advertiser_ids if owner not in reader.held_kinds]
    listings: list[Listing[pl.DataFrame]] = [
        entity_listing(CAMPAIGNS, owner, {}, reader.now, kind) for owner in unknown for kind in reader.hidden_kinds
    ]
    answers = reader.fetcher.fetch_each(listings)
    lost = {}
    for owner in unknown:
        hidden = {kind: next(answers)[1] for kind in reader.hidden_kinds}
        if error := _remember(reader, owner, hidden):
            lost[owner] = error
    return lost


def _remember(reader: Reader, owner: str, hidden: Mapping[HiddenKind, Answered]) -> TikTokError | None:
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


def _with_hidden(entity: Entity, shown: Answered, hidden: Mapping[HiddenKind, Answered]) -> Answered:
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
    whole = together(found)
    rows = [one for one in whole.pages if one.height] or whole.pages[:1]
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    # A host whose lists show a kind unasked tells the same objects twice.
    frame = pl.concat(rows).unique([key], keep="first", maintain_order=True) if len(found) > 1 else rows[0]
    return Fetched([frame], frame.height, whole.read_at, whole.tally, whole.seconds, whole.request_id)
