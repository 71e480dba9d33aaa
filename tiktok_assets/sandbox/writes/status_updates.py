"""Update status and budgets of existing entities, and return the ad group quota (API notes 8.1, 5.7)."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.http.params import MISSING
from tiktok_assets.sandbox.world.api_objects import ad_group_item
from tiktok_assets.sandbox.world.local_days import local_ordinal
from tiktok_assets.sandbox.world.model import AdGroup, Entity
from tiktok_assets.sandbox.writes.budgets import TOTAL
from tiktok_assets.sandbox.writes.campaigns import parse_ad_group_budget
from tiktok_assets.sandbox.writes.request_schemas import (
    AD_GROUP_BUDGET,
    AD_GROUP_STATUS,
    AD_STATUS,
    CAMPAIGN_STATUS,
)
from tiktok_assets.sandbox.writes.rules import MANUAL, find_entity
from tiktok_assets.sandbox.writes.steps import mark_written, read_body

AD_GROUP_QUOTA = 4980  # of the documentation's example (API notes 5.7)
PARTIAL_SUCCESS = 20001  # API notes 3.2


def campaign_status(context: Context) -> ResponseData:
    """Answer campaign/status/update: update all campaigns or none."""
    body = read_body(context, CAMPAIGN_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    status, ids = body["operation_status"], body["campaign_ids"]
    set_status(context, advertiser.campaigns, ids, status, path="campaign_ids")
    listed = [{"campaign_id": campaign_id, "status": status} for campaign_id in ids]
    return {"campaign_ids": _ids(context, ids), "status": status, "campaign_list": listed}


def ad_group_status(context: Context) -> ResponseData:
    """Answer adgroup/status/update: update all ad groups or none, unless allow_partial_success is set."""
    body = read_body(context, AD_GROUP_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    status, ids = body["operation_status"], body["adgroup_ids"]
    if not body.get("allow_partial_success"):
        set_status(context, advertiser.ad_groups, ids, status, path="adgroup_ids")
        return {"adgroup_ids": _ids(context, ids), "status": status}
    done, errors = [], []
    for index, ad_group_id in enumerate(ids):
        try:
            set_status(context, advertiser.ad_groups, [ad_group_id], status, path=f"adgroup_ids.{index}")
        except ApiError as error:
            errors.append({"adgroup_id": ad_group_id, "error_message": error.message})
        else:
            done.append(ad_group_id)
    if errors:
        context.response_code = PARTIAL_SUCCESS
    return {"adgroup_ids": _ids(context, done), "status": status, "error_list": errors}


def ad_status(context: Context) -> ResponseData:
    """Answer ad/status/update: update all ads or none; ads with automated creatives are not imitated."""
    body = read_body(context, AD_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    if not body.get("ad_ids"):
        raise bad_parameter("ad_ids", MISSING)
    set_status(context, advertiser.ads, body["ad_ids"], body["operation_status"], path="ad_ids")
    return {"ad_ids": _ids(context, body["ad_ids"]), "aco_ad_ids": [], "status": body["operation_status"]}


def _ids(context: Context, ids: list[str]) -> list[Any]:
    # Documented as string[], but integers in the example (API notes 0.1 #12).
    return [int(one) for one in ids] if context.switches.status_ids_as_numbers else list(ids)


def set_status(
    context: Context,
    candidates: Sequence[Entity],
    ids: list[str],
    status: str,
    *,
    path: str,
    automation: str = MANUAL,
) -> None:
    """Enable, disable or delete entities: all of them, or none if one cannot be found."""
    entities = [find_entity(candidates, one, path, context.now, automation) for one in ids]
    for entity in entities:
        if status == "DELETE":
            entity.deleted = context.now
        else:
            entity.status_changes.append((context.now, status == "ENABLE"))
    mark_written(context, *entities)


def ad_group_budgets(context: Context) -> ResponseData:
    """Answer adgroup/budget/update: total budgets change now, daily ones at the next midnight (API notes 8.1)."""
    body = read_body(context, AD_GROUP_BUDGET)
    advertiser = context.advertiser(body["advertiser_id"])
    name = "budget" if body.get("budget") else "scheduled_budget"
    if not body.get(name):
        raise ApiError.from_code(40012)
    changes: list[tuple[AdGroup, int]] = []
    for index, row in enumerate(body[name]):
        path = f"{name}.{index}"
        ad_group = find_entity(advertiser.ad_groups, row["adgroup_id"], f"{path}.adgroup_id", context.now)
        mode = ad_group_item(ad_group, context.now)["budget_mode"]
        if ad_group.campaign.budget_optimize_on:
            raise bad_parameter(path, "The budget of this ad group belongs to its campaign.")
        if (mode == TOTAL) != (name == "budget"):
            raise bad_parameter(path, f"{name} does not go with {mode}.")
        changes.append((ad_group, parse_ad_group_budget(context, ad_group, row[name], f"{path}.{name}")))
    for ad_group, minor in changes:
        if name == "budget":
            ad_group.budget = minor
        else:
            _apply_scheduled_budget(ad_group, context.now)
            ad_group.scheduled = (_next_midnight(context, ad_group), minor)
    mark_written(context, *(ad_group for ad_group, _ in changes))
    return {}


def _apply_scheduled_budget(ad_group: AdGroup, now: int) -> None:
    """Make a scheduled budget the current one if it has taken effect."""
    if ad_group.scheduled and ad_group.scheduled[0] <= now:
        ad_group.budget = ad_group.scheduled[1]


def _next_midnight(context: Context, ad_group: AdGroup) -> int:
    zone = ad_group.campaign.advertiser.zone
    today = date.fromordinal(local_ordinal(zone, context.now))
    return int(datetime.combine(today + timedelta(days=1), time(), tzinfo=zone).timestamp())


def ad_group_quota(context: Context) -> ResponseData:
    """Answer adgroup/quota: how many active ad groups an account may have and has (API notes 5.7).

    Both are 0 for a punished account (mengxingxinqing/tiktok_ads get_the_dynamic_quota_on_active_ad_groups).
    """
    advertiser = context.advertiser(context.params.identifier("advertiser_id"))
    if advertiser.id in context.switches.punished:
        return {"total_adgroup_quota": 0, "used_adgroup_quota": 0}
    used = [
        one
        for one in advertiser.ad_groups
        if one.exists(context.now)
        and not (one.is_deleted(context.now) or one.is_paused(context.now) or one.campaign.is_deleted(context.now))
    ]
    return {"total_adgroup_quota": AD_GROUP_QUOTA, "used_adgroup_quota": len(used)}
