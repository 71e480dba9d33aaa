"""Answer gmv_max/store/list and gmv_max/campaign/get.

Sources: mengxingxinqing/tiktok_ads, pages get_tiktok_shops_for_gmv_max_campaigns and get_gmv_max_campaigns.
"""

from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import bad_parameter
from tiktok_assets.sandbox.http.params import MISSING, cut_page, parse_choice, parse_texts, parse_time
from tiktok_assets.sandbox.reads.entity_filters import parse_ids
from tiktok_assets.sandbox.world.api_objects import OWNER_BC_ID, stable_id
from tiktok_assets.sandbox.world.gmv_max import LIVE, PRODUCT, GmvMaxCampaign, Shop
from tiktok_assets.sandbox.world.model import Advertiser, format_utc
from tiktok_assets.sandbox.world.status import matches_status, operation_status, secondary_status

LIST_TYPES = {"PRODUCT_GMV_MAX": PRODUCT, "LIVE_GMV_MAX": LIVE}
PRIMARY_STATUSES = ("STATUS_DELIVERY_OK", "STATUS_DISABLE", "STATUS_DELETE")
MAX_STORE_IDS, MAX_PAGE_SIZE = 10, 100
CAMPAIGN_FIELDS = frozenset(
    (
        *("advertiser_id", "campaign_id", "campaign_name", "operation_status", "create_time", "modify_time"),
        *("objective_type", "secondary_status", "roi_protection_compensation_status"),
    )
)


def store_list(context: Context) -> ResponseData:
    """Answer gmv_max/store/list: all shops on one page; an empty list for an account without one."""
    advertiser = context.advertiser(context.params.identifier("advertiser_id"))
    return {"store_list": [_store_item(shop) for shop in advertiser.shops]}


def _store_item(shop: Shop) -> ResponseData:
    account = shop.advertiser.account
    item: ResponseData = {
        "store_id": shop.id,
        "is_gmv_max_available": shop.is_available,
        "store_authorized_bc_id": OWNER_BC_ID,
        "is_owner_bc": True,
        "store_authorized_bc_info": {
            "bc_id": OWNER_BC_ID,
            "bc_profile_image": f"{account.website}bc.jpeg",
            "bc_name": account.company,
            "user_role": "ADMIN",
        },
        "thumbnail_url": f"{account.website}shop.jpeg",
        "store_name": shop.name,
        "store_code": stable_id("store code", shop.id)[:10],
        "targeting_region_codes": [account.country],
        "store_status": "ACTIVE",
        "store_role": "AD_PROMOTION",
        "exclusive_authorized_advertiser_info": {
            "advertiser_id": shop.advertiser.id,
            "advertiser_name": account.name,
            "advertiser_status": "STATUS_ENABLE",
        },
    }
    return item


def campaign_list(context: Context) -> ResponseData:
    """Answer gmv_max/campaign/get, by id, descending; deleted campaigns only with the filter for them."""
    params = context.params
    advertiser_id = params.identifier("advertiser_id")
    filtering: dict[str, Any] | None = params.json_value("filtering", dict)
    if filtering is None:
        raise bad_parameter("filtering", MISSING)
    fields = params.texts("fields")
    for index, name in enumerate(fields or ()):
        if context.switches.strict_fields:
            parse_choice(name, f"fields.{index}", CAMPAIGN_FIELDS)
    page, page_size = params.page(MAX_PAGE_SIZE)
    wanted = _Filter(filtering)
    campaigns = [
        one
        for one in gmv_max_campaigns(context.advertiser(advertiser_id))
        if one.exists(context.now) and wanted.matches(one, context.now)
    ]
    campaigns.sort(key=lambda one: int(one.id), reverse=True)
    rows, info = cut_page([_campaign_item(one, context.now) for one in campaigns], page, page_size)
    listed = [{name: value for name, value in row.items() if fields is None or name in fields} for row in rows]
    return {"list": listed, "page_info": info}


def gmv_max_campaigns(advertiser: Advertiser) -> list[GmvMaxCampaign]:
    """Return the GMV Max campaigns of an account."""
    return [campaign for shop in advertiser.shops for campaign in shop.campaigns]


class _Filter:
    """The parsed `filtering` of gmv_max/campaign/get."""

    def __init__(self, given: dict[str, Any]) -> None:
        path = "filtering.gmv_max_promotion_types"
        if not given.get("gmv_max_promotion_types"):
            raise bad_parameter(path, MISSING)
        types = parse_texts(given["gmv_max_promotion_types"], path)
        self._types = {
            LIST_TYPES[parse_choice(one, f"{path}.{index}", LIST_TYPES)] for index, one in enumerate(types)
        }
        ids = {name: given.get(name) for name in ("store_ids", "campaign_ids")}
        limits = {"store_ids": MAX_STORE_IDS, "campaign_ids": 100}
        self._ids = {
            name: parse_ids(value, f"filtering.{name}", limits[name])
            for name, value in ids.items()
            if value is not None
        }
        self._name = str(given.get("campaign_name") or "").casefold()
        status = given.get("primary_status")
        self._status = (
            "STATUS_NOT_DELETE"
            if status is None
            else parse_choice(status, "filtering.primary_status", PRIMARY_STATUSES)
        )
        self._start = self._time(given, "creation_filter_start_time", "")
        self._end = self._time(given, "creation_filter_end_time", "~")

    @staticmethod
    def _time(given: dict[str, Any], name: str, default: str) -> str:
        value = given.get(name)
        return default if value is None else parse_time(value, f"filtering.{name}")

    def matches(self, campaign: GmvMaxCampaign, now: int) -> bool:
        """Return whether a campaign passes all filters."""
        return (
            campaign.promotion_type in self._types
            and campaign.shop.id in self._ids.get("store_ids", [campaign.shop.id])
            and campaign.id in self._ids.get("campaign_ids", [campaign.id])
            and self._name in campaign.name.casefold()
            and matches_status(secondary_status(campaign, now), self._status)
            and self._start <= format_utc(campaign.created) <= self._end
        )


def _campaign_item(campaign: GmvMaxCampaign, now: int) -> ResponseData:
    return {
        "advertiser_id": campaign.shop.advertiser.id,
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "operation_status": operation_status(campaign, now),
        "create_time": format_utc(campaign.created),
        "modify_time": format_utc(campaign.modified_at(now)),
        "objective_type": "PRODUCT_SALES",
        "secondary_status": secondary_status(campaign, now),
        "roi_protection_compensation_status": "NOT_ELIGIBLE",
    }


ENDPOINTS = {"gmv_max/store/list": store_list, "gmv_max/campaign/get": campaign_list}
