"""Campaigns that lists leave out unless they are asked for: TopView and Promote.

Sources: mengxingxinqing/tiktok_ads, pages get_campaigns and get_ad_groups (`buying_types`,
`campaign_system_origins`, a page of TopView holds 100 at most, what is told of Promote), promote_campaign,
run_a_synchronous_report.
"""

from typing import TYPE_CHECKING, Any

from tiktok_assets.sandbox.errors import bad_parameter
from tiktok_assets.sandbox.world import AdGroup, Advertiser, Campaign, Entity

if TYPE_CHECKING:
    from tiktok_assets.sandbox.building import Builder

TOP_VIEW, PROMOTE = "RESERVATION_TOP_VIEW", "PROMOTE"
PLATFORM = "TT_ADS_PLATFORM"
SHOWN_BUYING_TYPES = ("AUCTION", "RESERVATION_RF")  # the default of `buying_types`
SHOWN_ORIGINS = (PLATFORM,)  # the default of `campaign_system_origins`
TOP_VIEW_PAGE_SIZE = 100

_PROMOTE_KEYS = {
    "campaign": "advertiser_id campaign_id campaign_name create_time operation_status secondary_status",
    "ad_group": (
        "advertiser_id campaign_id campaign_name adgroup_id adgroup_name create_time budget schedule_type"
        " schedule_start_time schedule_end_time operation_status secondary_status"
    ),
    # The page on ads is not mirrored: taken to be told as its parents are.
    "ad": (
        "advertiser_id campaign_id campaign_name adgroup_id adgroup_name ad_id ad_id_v2 ad_name create_time"
        " operation_status secondary_status"
    ),
}


def facets_of(entity: Entity) -> dict[str, str]:
    """Return how an entity's campaign was bought and where it was made, which filters ask for."""
    campaign = entity if isinstance(entity, Campaign) else entity.campaign  # type: ignore[attr-defined]
    return {
        "buying_type": str(campaign.fields.get("buying_type", "AUCTION")),
        "campaign_system_origin": str(campaign.fields.get("campaign_system_origin") or PLATFORM),
    }


def is_shown(campaign: Campaign) -> bool:
    """Say whether lists and reports show a campaign without being asked for its kind."""
    facets = facets_of(campaign)
    return facets["buying_type"] in SHOWN_BUYING_TYPES and facets["campaign_system_origin"] in SHOWN_ORIGINS


def trimmed(level: str, entity: Entity, item: dict[str, Any]) -> dict[str, Any]:
    """Return what lists tell of an entity: of one of Promote a few fields, and its origin."""
    if facets_of(entity)["campaign_system_origin"] != PROMOTE:
        return {name: value for name, value in item.items() if name != "buying_type"}
    kept = {name: value for name, value in item.items() if name in _PROMOTE_KEYS[level].split()}
    return kept | {"campaign_system_origin": PROMOTE}


def check_page_size(filtering: dict[str, Any] | None, page_size: int) -> None:
    """Refuse a page of TopView that is too large."""
    wanted = (filtering or {}).get("buying_types") or ()
    if TOP_VIEW in wanted and page_size > TOP_VIEW_PAGE_SIZE:
        raise bad_parameter("page_size", f"Must not exceed {TOP_VIEW_PAGE_SIZE} with buying_types {TOP_VIEW}.")


def add_hidden_campaigns(builder: "Builder", advertiser: Advertiser) -> None:
    """Add a TopView campaign with two ads and a Promote campaign with one."""
    top_view = {"buying_type": TOP_VIEW, "objective_type": "TOPVIEW_REACH", "rf_campaign_type": "TOPVIEW"}
    for name, days, ads, fields in (
        ("TopView | Launch day", 40.2, 2, top_view),
        ("Promote | Spring post", 33.7, 1, {"campaign_system_origin": PROMOTE}),
    ):
        campaign = builder.campaign(advertiser, name, "REACH", days)
        campaign.fields = dict(fields)
        group: AdGroup = builder.ad_group(campaign, f"{name} | group", campaign.created + 60)
        for number in range(ads):
            ad = builder.ad(group, f"{name} | ad {number + 1}", group.created + 60 + number, 25)
            builder.lead(ad)
        builder.set_budget(group)
