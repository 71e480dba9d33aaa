"""The account hierarchy as tables: advertisers, campaigns, ad groups and ads, a row a column.

The columns are the core of the field tables in tiktok_api.md sections 5.3 and 5.4. A field the API sends
and no row names is kept in the `extra` column and reported, never dropped.
"""

from dataclasses import dataclass

from tiktok_assets.spec.columns import Column, Kind, to_column_name
from tiktok_assets.spec.endpoints import (
    AD_GROUP_LIST,
    AD_LIST,
    ADVERTISER_INFO,
    CAMPAIGN_LIST,
    MAX_PAGE_SIZE,
    Endpoint,
)


@dataclass(frozen=True, slots=True)
class Entity:
    """One level of the hierarchy.

    Attributes:
        table: the asset and the table it fills.
        endpoint: where it is read.
        key: the API's name of its id.
        columns: in table order, `advertiser_id` first.
        meaning: one sentence for the catalogue.
    """

    table: str
    endpoint: Endpoint
    key: str
    columns: tuple[Column, ...]
    meaning: str


def _columns(*rows: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(to_column_name(name), name, kind, meaning) for name, kind, meaning in rows)


_OWNER: tuple[str, Kind, str] = ("advertiser_id", "id", "the ad account")
_TIMES: tuple[tuple[str, Kind, str], ...] = (
    ("create_time", "instant", "when it was created"),
    ("modify_time", "instant", "when it was last changed; missing for Smart+ ads"),
)
_STATUS: tuple[tuple[str, Kind, str], ...] = (
    ("operation_status", "text", "what its owner switched it to: ENABLE, DISABLE or FROZEN"),
    ("secondary_status", "text", "what it is doing, and why not; tells deleted ones"),
)

ADVERTISERS = Entity(
    table="advertisers",
    endpoint=ADVERTISER_INFO,
    key="advertiser_id",
    meaning="The ad accounts the token may read, with currency and time zone.",
    columns=_columns(
        _OWNER,
        ("name", "text", "the account's name"),
        ("company", "text", "the company behind it"),
        ("status", "text", "STATUS_ENABLE, or why the account is limited"),
        ("role", "text", "ROLE_ADVERTISER and its kin"),
        ("timezone", "text", "as TikTok stores it; Etc/GMT+8 means UTC-8"),
        ("display_timezone", "text", "the IANA zone of the account's days"),
        ("currency", "text", "ISO 4217; every amount of the account is in it"),
        ("country", "text", "ISO country code"),
        ("language", "text", "ISO language code"),
        ("industry", "text", "numeric code as text"),
        ("advertiser_account_type", "text", "AUCTION or RESERVATION"),
        ("ads_only_mode", "flag", "whether posts made for ads may only show as ads, not on a profile"),
        ("balance", "money", "what is left on the account"),
        ("owner_bc_id", "id", "the owning business centre"),
        ("create_time", "epoch", "when the account was created"),
        ("rejection_reason", "text", "why the account was refused"),
    ),
)

CAMPAIGNS = Entity(
    table="campaigns",
    endpoint=CAMPAIGN_LIST,
    key="campaign_id",
    meaning="Every campaign of the account, deleted ones, TopView and Promote included.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "the campaign"),
        ("campaign_name", "text", "its name"),
        *_STATUS,
        ("objective_type", "text", "what it is bought for"),
        ("campaign_type", "text", "REGULAR_CAMPAIGN or IOS14_CAMPAIGN"),
        ("campaign_automation_type", "text", "MANUAL, SMART_PLUS or UPGRADED_SMART_PLUS"),
        ("budget_mode", "text", "whether the budget is daily, total or unlimited"),
        ("budget", "money", "the budget; 0 when unlimited"),
        ("budget_optimize_on", "flag", "whether the campaign spreads its budget by itself"),
        ("is_smart_performance_campaign", "flag", "whether it is an automated campaign of the older kind"),
        ("roas_bid", "ratio", "return on ad spend bid for"),
        ("special_industries", "json", "declared special industries"),
        *_TIMES,
    ),
)

AD_GROUPS = Entity(
    table="ad_groups",
    endpoint=AD_GROUP_LIST,
    key="adgroup_id",
    meaning="Every ad group of the account, deleted ones, TopView and Promote included.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "its campaign"),
        ("campaign_name", "text", "its campaign's name"),
        ("adgroup_id", "id", "the ad group"),
        ("adgroup_name", "text", "its name"),
        *_STATUS,
        ("promotion_type", "text", "what is promoted: a website, an app, ..."),
        ("placement_type", "text", "whether placements were chosen or are automatic"),
        ("placements", "json", "where it may run"),
        ("location_ids", "json", "the places targeted"),
        ("age_groups", "json", "the ages targeted"),
        ("gender", "text", "the gender targeted"),
        ("languages", "json", "the languages targeted"),
        ("operating_systems", "json", "the operating systems targeted"),
        ("audience_ids", "json", "the audiences included"),
        ("excluded_audience_ids", "json", "the audiences left out"),
        ("interest_category_ids", "json", "the interests targeted"),
        ("budget_mode", "text", "whether the budget is daily or total"),
        ("budget", "money", "the budget; 0 where the campaign spreads it"),
        ("scheduled_budget", "money", "the budget from the next day on"),
        ("schedule_type", "text", "with an end or from now on"),
        ("schedule_start_time", "instant", "when it starts"),
        ("schedule_end_time", "instant", "when it ends"),
        ("dayparting", "text", "336 half hours of the week, 1 where it may run"),
        ("optimization_goal", "text", "what delivery aims at"),
        ("optimization_event", "text", "the event it aims at"),
        ("billing_event", "text", "what is paid for"),
        ("bid_type", "text", "with a bid or without"),
        ("bid_price", "money", "bid per click, mille or view"),
        ("conversion_bid_price", "money", "bid per conversion"),
        ("deep_cpa_bid", "money", "bid per deeper conversion"),
        ("roas_bid", "ratio", "return on ad spend bid for"),
        ("pacing", "text", "smooth or fast"),
        ("pixel_id", "id", "the pixel that counts conversions"),
        ("click_attribution_window", "text", "days after a click in which a conversion counts"),
        ("view_attribution_window", "text", "days after a view in which a conversion counts"),
        ("creative_material_mode", "text", "how its creatives are combined"),
        ("skip_learning_phase", "flag", "whether the learning phase is skipped"),
        *_TIMES,
    ),
)

ADS = Entity(
    table="ads",
    endpoint=AD_LIST,
    key="ad_id",
    meaning="Every ad of the account, deleted ones, TopView and Promote included.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "its campaign"),
        ("campaign_name", "text", "its campaign's name"),
        ("adgroup_id", "id", "its ad group"),
        ("adgroup_name", "text", "its ad group's name"),
        ("ad_id", "id", "the ad"),
        ("ad_name", "text", "its name"),
        *_STATUS,
        ("ad_format", "text", "video, image, carousel, ..."),
        ("ad_text", "text", "the text shown"),
        ("ad_texts", "json", "the texts shown, where there are several"),
        ("call_to_action", "text", "the button"),
        ("call_to_action_id", "id", "the set of buttons, where TikTok picks one"),
        ("landing_page_url", "text", "where a click leads"),
        ("display_name", "text", "the name shown beside the ad"),
        ("identity_type", "text", "whose account the ad appears under"),
        ("identity_id", "id", "that account"),
        ("video_id", "id", "the video"),
        ("image_ids", "json", "the images, or the video's cover"),
        ("tiktok_item_id", "id", "the TikTok post behind a Spark ad"),
        ("music_id", "id", "the music"),
        ("deeplink", "text", "the link into an app"),
        ("is_aco", "flag", "whether it is an automated creative"),
        ("campaign_automation_type", "text", "MANUAL, SMART_PLUS, or UPGRADED_SMART_PLUS_CREATIVE of a creative"),
        ("smart_plus_ad_id", "id", "the Smart+ ad this creative belongs to"),
        ("ad_id_v2", "id", "the ad itself where ad_id names a Smart+ creative"),
        ("utm_params", "json", "parameters added to the landing page"),
        *_TIMES,
    ),
)


@dataclass(frozen=True, slots=True)
class SpecialCampaignType:
    """Objects that the lists of campaigns, ad groups and ads leave out unless a filter asks for them.

    Attributes:
        name: as TikTok calls them.
        filter_name: of the filter that asks for them.
        filter_value: the one value that asks for them alone.
        page_size: rows a page of them may hold.
    """

    name: str
    filter_name: str
    filter_value: str
    page_size: int = MAX_PAGE_SIZE


TOPVIEW_AND_PROMOTE = (
    SpecialCampaignType("TopView", "buying_types", "RESERVATION_TOP_VIEW", page_size=100),
    SpecialCampaignType("Promote", "campaign_system_origins", "PROMOTE"),
)
"""Source: mengxingxinqing/tiktok_ads, get_campaigns and get_ad_groups: the defaults of both filters, that TopView
goes with no other value (so a live probe of estuary/connectors of 2026-08-13, too), and its page of a hundred."""

ENTITIES = (ADVERTISERS, CAMPAIGNS, AD_GROUPS, ADS)
LISTED_ENTITIES = (CAMPAIGNS, AD_GROUPS, ADS)
"""The entities read per advertiser, page by page."""
