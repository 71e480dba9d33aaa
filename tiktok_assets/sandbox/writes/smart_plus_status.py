"""Enable, disable and delete Upgraded Smart+ campaigns, ad groups and ads.

Sources: mengxingxinqing/tiktok_ads, update_the_operation_statuses_of_upgraded_smart_campaigns, _ad_groups, _ads.
"""

from collections.abc import Sequence

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter
from tiktok_assets.sandbox.world.model import Campaign, Entity
from tiktok_assets.sandbox.writes.rules import UPGRADED
from tiktok_assets.sandbox.writes.smart_plus_rules import Body, check_allow_list
from tiktok_assets.sandbox.writes.smart_plus_schemas import AD_GROUP_STATUS, AD_STATUS, CAMPAIGN_STATUS
from tiktok_assets.sandbox.writes.status_updates import set_status
from tiktok_assets.sandbox.writes.steps import read_body


def campaign_status(context: Context) -> ResponseData:
    """Answer smart_plus/campaign/status/update, which may succeed for some campaigns only."""
    body = read_body(context, CAMPAIGN_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    mode = body.get("postback_window_mode")
    if mode and body["operation_status"] == "ENABLE":
        raise bad_parameter("postback_window_mode", "Not supported when operation_status is ENABLE.")
    data = _update_each(context, advertiser.campaigns, body, "campaign")
    for row in data["campaign_list"]:
        campaign = next(one for one in advertiser.campaigns if one.id == row["campaign_id"])
        _set_postback_window(campaign, mode, row)
    return data


def _set_postback_window(campaign: Campaign, mode: str | None, row: ResponseData) -> None:
    """Set and return the postback window of a dedicated campaign that is switched off; it is set only once."""
    is_dedicated = campaign.fields.get("campaign_type") == "IOS14_CAMPAIGN"
    if is_dedicated and mode and row["status"] == "DISABLE":
        campaign.fields.setdefault("postback_window_mode", mode)
    if campaign.fields.get("postback_window_mode"):
        row["postback_window_mode"] = campaign.fields["postback_window_mode"]


def ad_group_status(context: Context) -> ResponseData:
    """Answer smart_plus/adgroup/status/update, which may succeed for some ad groups only."""
    body = read_body(context, AD_GROUP_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    return _update_each(context, advertiser.ad_groups, body, "adgroup")


def _update_each(context: Context, candidates: Sequence[Entity], body: Body, name: str) -> ResponseData:
    """Update each entity on its own; failures are listed with code 0, as in the pages' examples."""
    key, status = f"{name}_id", body["operation_status"]
    done, errors = [], []
    for one in body[f"{key}s"]:
        try:
            set_status(context, candidates, [one], status, path=f"{key}s", automation=UPGRADED)
        except ApiError as error:
            is_unknown = not any(entity.id == one and entity.exists(context.now) for entity in candidates)
            unknown = f"{name.capitalize()} does not exist. {key} {one}."  # the text of the page's example
            errors.append({key: one, "error_message": unknown if is_unknown else error.message})
        else:
            done.append({key: one, "status": status})
    return {f"{name}_list": done, "error_list": errors}


def ad_status(context: Context) -> ResponseData:
    """Answer smart_plus/ad/status/update: all ads or none, because its response has no list of errors."""
    body = read_body(context, AD_STATUS)
    advertiser = context.advertiser(body["advertiser_id"])
    check_allow_list(context, advertiser)
    ids, status = body["smart_plus_ad_ids"], body["operation_status"]
    candidates = advertiser.smart_plus_ads
    set_status(context, candidates, ids, status, path="smart_plus_ad_ids", automation=UPGRADED)
    return {"smart_plus_ad_ids": list(ids), "status": status}
