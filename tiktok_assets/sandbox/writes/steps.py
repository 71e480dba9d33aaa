"""Steps of every write: validate the body, check the request id, lock and mark objects (API notes 8.5)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.params import parse_id
from tiktok_assets.sandbox.world.model import Entity, World
from tiktok_assets.sandbox.writes.request_schemas import READ_ONLY_FIELDS
from tiktok_assets.sandbox.writes.schema import Schema, refuse_read_only, validate_body

READ_ONLY_RESPONSE_FIELDS = frozenset(  # fields of reads that the responses of writes do not have
    (
        "campaign_system_origin",
        "campaign_automation_type",
        "is_smart_performance_campaign",
        "ad_id_v2",
        "smart_plus_ad_id",
    )
)


def read_body(context: Context, schema: Schema) -> dict[str, Any]:
    """Validate the body of a write, and return its known fields.

    Raises:
        ApiError: 40002, a field is missing, malformed or (with a switch) read-only.
    """
    if context.switches.read_only_refused and context.path in READ_ONLY_FIELDS:
        read_only = READ_ONLY_FIELDS[context.path]
        refuse_read_only(context.body, read_only)
        creatives = context.body.get("creatives")
        for index, creative in enumerate(creatives if isinstance(creatives, list) else ()):
            if isinstance(creative, dict):
                refuse_read_only(creative, read_only, f"creatives.{index}.")
    return validate_body(context.body, schema, placeholders=context.switches.placeholders_allowed)


def run_idempotent(context: Context, create: Callable[[], ResponseData]) -> ResponseData:
    """Run a creation once for each `request_id` within 10 seconds (API notes 8.5).

    The seconds are real ones, because clients wait in real time.

    Raises:
        ApiError: 40050, the `request_id` was used before.
    """
    value = context.body.get("request_id")
    if value is None:
        return create()
    request_id = parse_id(value, "request_id")
    last_used, now = context.world.request_ids, context.monotonic()
    previous = last_used.get(request_id)
    if previous is not None and now - previous < context.switches.idempotency_seconds:
        raise ApiError.from_code(40050)
    data = create()
    last_used[request_id] = now
    return data


def mark_written(context: Context, *changed: Entity) -> None:
    """Mark entities as edited now, and invalidate caches of the world."""
    for entity in changed:
        entity.edited = context.now
    context.world.version += 1


def write_response(item: Mapping[str, Any], *, is_campaign: bool = True) -> ResponseData:
    """Return the fields of an object that the responses of writes have."""
    keep = {"is_smart_performance_campaign"} if is_campaign else set()
    return {name: value for name, value in item.items() if name not in READ_ONLY_RESPONSE_FIELDS or name in keep}


def refuse_empty_update(fields: Mapping[str, Any], *keys: str) -> None:
    """Raise ApiError 40012 for an update with no other fields than `keys` (API notes 3.2)."""
    if not set(fields) - set(keys):
        raise ApiError.from_code(40012)


# Fields of a body with the ids of what it changes.
ID_FIELDS = ("campaign_id", "adgroup_id")
ID_LIST_FIELDS = ("campaign_ids", "adgroup_ids", "ad_ids", "smart_plus_ad_ids")
BUDGET_LIST_FIELDS = ("budget", "scheduled_budget")


def objects_to_lock(world: World, body: dict[str, Any]) -> frozenset[str]:
    """Return the ids of the campaigns and ad groups that a write changes, parents included."""
    ids = {body[name] for name in ID_FIELDS if isinstance(body.get(name), str)}
    for name in ID_LIST_FIELDS:
        ids |= {one for one in _list(body.get(name)) if isinstance(one, str)}
    for name in BUDGET_LIST_FIELDS:
        ids |= {row.get("adgroup_id") for row in _list(body.get(name)) if isinstance(row, dict)}
    if not ids:
        return frozenset()
    advertiser = world.advertisers.get(str(body.get("advertiser_id")))
    locked: set[str] = set()
    for ad_group in advertiser.ad_groups if advertiser else ():
        if ad_group.id in ids or any(ad.id in ids for ad in (*ad_group.ads, *ad_group.smart_plus_ads)):
            locked |= {ad_group.id, ad_group.campaign.id}
    campaigns = {one.id for one in advertiser.campaigns} if advertiser else set()
    return frozenset(locked | (campaigns & ids))


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


class WriteLocks:
    """The ids of the objects that are being written now."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def acquire(self, objects: frozenset[str]) -> bool:
        """Lock all objects and return True, or none if one is locked already."""
        if self._held & objects:
            return False
        self._held |= objects
        return True

    def release(self, objects: frozenset[str]) -> None:
        """Unlock objects."""
        self._held -= objects
