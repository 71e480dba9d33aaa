"""Steps of every write: validate the body, check the request id, lock and mark objects (API notes 8.5)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.params import parse_id
from tiktok_assets.sandbox.world.model import Entity, World
from tiktok_assets.sandbox.writes.request_schemas import READ_ONLY_FIELDS
from tiktok_assets.sandbox.writes.schema import Schema, refuse_read_only, validate_body

Answer = dict[str, Any]
READ_ONLY_RESPONSE_FIELDS = frozenset(  # the pages of the write endpoints lack these keys of the reads
    (
        "campaign_system_origin",
        "campaign_automation_type",
        "is_smart_performance_campaign",
        "ad_id_v2",
        "smart_plus_ad_id",
    )
)


def read_body(context: Context, shape: Schema) -> dict[str, Any]:
    """Return the checked body of a write."""
    if context.switches.read_only_refused and context.path in READ_ONLY_FIELDS:
        read_only = READ_ONLY_FIELDS[context.path]
        refuse_read_only(context.body, read_only)
        creatives = context.body.get("creatives")
        for index, creative in enumerate(creatives if isinstance(creatives, list) else ()):
            if isinstance(creative, dict):
                refuse_read_only(creative, read_only, f"creatives.{index}.")
    return validate_body(context.body, shape, placeholders=context.switches.placeholders_allowed)


def run_idempotent(context: Context, make: Callable[[], Answer]) -> Answer:
    """Do a creation; the same `request_id` again within 10 seconds is 40050 (dossier 8.5).

    The seconds are those of the wall clock, for that is what a client waits by.
    """
    given = context.body.get("request_id")
    if given is None:
        return make()
    request_id = parse_id(given, "request_id")
    done, now = context.world.request_ids, context.monotonic()
    since = done.get(request_id)
    if since is not None and now - since < context.switches.idempotency_seconds:
        raise ApiError.of(40050)
    answer = make()
    done[request_id] = now
    return answer


def mark_written(context: Context, *changed: Entity) -> None:
    """Mark entities as edited now, and make everything kept about the world stale."""
    for entity in changed:
        entity.edited = context.now
    context.world.version += 1


def write_response(item: Mapping[str, Any], *, smart: bool = True) -> Answer:
    """Return an object as a write answers it: the read's keys but for those its page lacks."""
    keep = {"is_smart_performance_campaign"} if smart else set()
    return {name: value for name, value in item.items() if name not in READ_ONLY_RESPONSE_FIELDS or name in keep}


def refuse_empty_update(fields: Mapping[str, Any], *keys: str) -> None:
    """Refuse an update that changes nothing (dossier 3.2)."""
    if not set(fields) - set(keys):
        raise ApiError.of(40012)


# Where a body names what it changes.
ID_FIELDS = ("campaign_id", "adgroup_id")
ID_LIST_FIELDS = ("campaign_ids", "adgroup_ids", "ad_ids")
BUDGET_LIST_FIELDS = ("budget", "scheduled_budget")


def objects_to_lock(world: World, body: dict[str, Any]) -> frozenset[str]:
    """Return the campaigns and ad groups a write touches: those it names, and what they belong to."""
    named = {body[name] for name in ID_FIELDS if isinstance(body.get(name), str)}
    for name in ID_LIST_FIELDS:
        named |= {one for one in _list(body.get(name)) if isinstance(one, str)}
    for name in BUDGET_LIST_FIELDS:
        named |= {row.get("adgroup_id") for row in _list(body.get(name)) if isinstance(row, dict)}
    if not named:
        return frozenset()
    advertiser = world.advertisers.get(str(body.get("advertiser_id")))
    found: set[str] = set()
    for ad_group in advertiser.ad_groups if advertiser else ():
        if ad_group.id in named or any(ad.id in named for ad in ad_group.ads):
            found |= {ad_group.id, ad_group.campaign.id}
    campaigns = {one.id for one in advertiser.campaigns} if advertiser else set()
    return frozenset(found | (campaigns & named))


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


class WriteLocks:
    """What is being written at this moment."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def take(self, objects: frozenset[str]) -> bool:
        """Take all of them, or none when one is held."""
        if self._held & objects:
            return False
        self._held |= objects
        return True

    def release(self, objects: frozenset[str]) -> None:
        """Give back what was taken."""
        self._held -= objects
