"""What every write does: read the body, remember request ids, tell the world that it changed (dossier 8.5)."""

from collections.abc import Callable, Mapping
from typing import Any

from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.errors import ApiError
from tiktok_assets.sandbox.params import checked_id
from tiktok_assets.sandbox.shapes import Shape, refuse_read_only, shaped
from tiktok_assets.sandbox.world import Entity
from tiktok_assets.sandbox.write_shapes import READ_ONLY

Answer = dict[str, Any]
NOT_IN_ANSWERS = frozenset(  # the pages of the write endpoints lack these keys of the reads
    (
        "campaign_system_origin",
        "campaign_automation_type",
        "is_smart_performance_campaign",
        "ad_id_v2",
        "smart_plus_ad_id",
    )
)


def read_body(context: Context, shape: Shape) -> dict[str, Any]:
    """Return the checked body of a write."""
    if context.switches.read_only_refused and context.path in READ_ONLY:
        read_only = READ_ONLY[context.path]
        refuse_read_only(context.body, read_only)
        creatives = context.body.get("creatives")
        for index, creative in enumerate(creatives if isinstance(creatives, list) else ()):
            if isinstance(creative, dict):
                refuse_read_only(creative, read_only, f"creatives.{index}.")
    return shaped(context.body, shape, placeholders=context.switches.placeholders_allowed)


def once(context: Context, make: Callable[[], Answer]) -> Answer:
    """Do a creation; the same `request_id` again within 10 seconds is 40050 (dossier 8.5).

    The seconds are those of the wall clock, for that is what a client waits by.
    """
    given = context.body.get("request_id")
    if given is None:
        return make()
    request_id = checked_id(given, "request_id")
    done, now = context.world.request_ids, context.monotonic()
    since = done.get(request_id)
    if since is not None and now - since < context.switches.idempotency_seconds:
        raise ApiError.of(40050)
    answer = make()
    done[request_id] = now
    return answer


def written(context: Context, *changed: Entity) -> None:
    """Mark entities as edited now, and make everything kept about the world stale."""
    for entity in changed:
        entity.edited = context.now
    context.world.version += 1


def told(item: Mapping[str, Any], *, smart: bool = True) -> Answer:
    """Return an object as a write answers it: the read's keys but for those its page lacks."""
    keep = {"is_smart_performance_campaign"} if smart else set()
    return {name: value for name, value in item.items() if name not in NOT_IN_ANSWERS or name in keep}


def nothing_to_update(fields: Mapping[str, Any], *keys: str) -> None:
    """Refuse an update that changes nothing (dossier 3.2)."""
    if not set(fields) - set(keys):
        raise ApiError.of(40012)
