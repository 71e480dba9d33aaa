"""The tables of the account hierarchy: advertisers, campaigns, ad groups and ads, with their columns.

The columns are the most important fields of API notes 5.3 and 5.4. Other fields of the API are kept in the column
`extra`; those that TikTok does not document are reported by a check.
"""

from dataclasses import dataclass

from tiktok_assets.spec.account_conditions import SMART_PLUS_CAMPAIGN, AccountCondition
from tiktok_assets.spec.columns import Column, Kind, to_column_name
from tiktok_assets.spec.endpoints import (
    AD_GROUP_LIST,
    AD_LIST,
    ADVERTISER_INFO,
    CAMPAIGN_LIST,
    MAX_PAGE_SIZE,
    SMART_PLUS_AD_LIST,
    Endpoint,
)


@dataclass(frozen=True, slots=True)
class CreationRanges:
    """How a long list is split into ranges of the time of creation.

    Attributes:
        start_filter: the name of the filter with the earliest time, exclusive.
        end_filter: the name of the filter with the latest time, exclusive.
        days: how many days a range has.
        above_rows: how many rows a list may have before it is split.
    """

    start_filter: str
    end_filter: str
    days: int
    above_rows: int


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of object that is read as a list.

    Attributes:
        table: the name of the table and its asset.
        endpoint: the endpoint it is read from.
        key: the API's name of its id.
        columns: the columns in table order, `advertiser_id` first.
        meaning: one sentence for the data dictionary.
        page_size: how many rows a page can have.
        fixed_filters: the filters of every query, by the API's names; those of a reader are added to them.
        status_column: the column that says whether an object is deleted; None if the list omits deleted ones.
        has_special_types: whether its TopView and Promote objects are only listed if a filter requests them.
        creation_ranges: how a long list is split; None if it never is.
        condition: what an account must have to be read; None for every account.
    """

    table: str
    endpoint: Endpoint
    key: str
    columns: tuple[Column, ...]
    meaning: str
    page_size: int = MAX_PAGE_SIZE
    fixed_filters: tuple[tuple[str, str], ...] = ()
    status_column: str | None = None
    has_special_types: bool = False
    creation_ranges: CreationRanges | None = None
    condition: AccountCondition | None = None


def _columns(*rows: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(to_column_name(name), name, kind, meaning) for name, kind, meaning in rows)


_ALL_STATUSES = (("primary_status", "STATUS_ALL"),)
"""TikTok omits deleted objects by default, and deletes old ads by itself."""

_OWNER: tuple[str, Kind, str] = ("advertiser_id", "id", "the ad account")
_TIMES: tuple[tuple[str, Kind, str], ...] = (
    ("create_time", "instant", "when it was created"),
    ("modify_time", "instant", "when it was last changed; missing for Smart+ ads"),
)
_STATUS: tuple[tuple[str, Kind, str], ...] = (
    ("operation_status", "text", "the status its owner set: ENABLE, DISABLE or FROZEN"),
    ("secondary_status", "text", "delivery status with the reason why it does not deliver, including deletion"),
)

ADVERTISERS = Entity(
    table="advertisers",
    endpoint=ADVERTISER_INFO,
    key="advertiser_id",
    meaning="The ad accounts the token can read, with currency and time zone.",
    columns=_columns(
        _OWNER,
        ("name", "text", "the account's name"),
        ("company", "text", "the company that owns it"),
        ("status", "text", "STATUS_ENABLE, or why the account is limited"),
        ("role", "text", "role of the account, such as ROLE_ADVERTISER"),
        ("timezone", "text", "time zone as TikTok stores it; Etc/GMT+8 means UTC-8"),
        ("display_timezone", "text", "IANA time zone of the account's days"),
        ("currency", "text", "ISO 4217 code; the currency of every amount of the account"),
        ("country", "text", "ISO country code"),
        ("language", "text", "ISO language code"),
        ("industry", "text", "numeric industry code as text"),
        ("advertiser_account_type", "text", "AUCTION or RESERVATION"),
        ("ads_only_mode", "flag", "whether posts created for ads are only shown as ads, not on a profile"),
        ("balance", "money", "remaining balance of the account"),
        ("owner_bc_id", "id", "the Business Center that owns it"),
        ("create_time", "epoch", "when the account was created"),
        ("rejection_reason", "text", "why the account was rejected"),
    ),
)

CAMPAIGNS = Entity(
    table="campaigns",
    endpoint=CAMPAIGN_LIST,
    key="campaign_id",
    fixed_filters=_ALL_STATUSES,
    status_column="secondary_status",
    has_special_types=True,
    meaning="Every campaign of the account, including deleted, TopView and Promote campaigns.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "the campaign"),
        ("campaign_name", "text", "its name"),
        *_STATUS,
        ("objective_type", "text", "advertising objective"),
        ("campaign_type", "text", "REGULAR_CAMPAIGN or IOS14_CAMPAIGN"),
        ("campaign_automation_type", "text", "MANUAL, SMART_PLUS or UPGRADED_SMART_PLUS"),
        ("budget_mode", "text", "whether the budget is daily, total or unlimited"),
        ("budget", "money", "the budget; 0 when unlimited"),
        (
            "budget_optimize_on",
            "flag",
            "whether campaign budget optimization distributes the budget over ad groups",
        ),
        (
            "is_smart_performance_campaign",
            "flag",
            "whether it is an automated campaign of the older type (Smart Performance Campaign)",
        ),
        ("roas_bid", "ratio", "target return on ad spend"),
        ("special_industries", "json", "declared special industries"),
        *_TIMES,
    ),
)

AD_GROUPS = Entity(
    table="ad_groups",
    endpoint=AD_GROUP_LIST,
    key="adgroup_id",
    fixed_filters=_ALL_STATUSES,
    status_column="secondary_status",
    has_special_types=True,
    meaning="Every ad group of the account, including deleted ones and those of TopView and Promote.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "its campaign"),
        ("campaign_name", "text", "its campaign's name"),
        ("adgroup_id", "id", "the ad group"),
        ("adgroup_name", "text", "its name"),
        *_STATUS,
        ("promotion_type", "text", "what is promoted, such as a website or an app"),
        ("placement_type", "text", "whether placements are selected or automatic"),
        ("placements", "json", "selected placements"),
        ("location_ids", "json", "targeted locations"),
        ("age_groups", "json", "targeted age groups"),
        ("gender", "text", "targeted gender"),
        ("languages", "json", "targeted languages"),
        ("operating_systems", "json", "targeted operating systems"),
        ("audience_ids", "json", "included audiences"),
        ("excluded_audience_ids", "json", "excluded audiences"),
        ("interest_category_ids", "json", "targeted interests"),
        ("budget_mode", "text", "whether the budget is daily or total"),
        ("budget", "money", "the budget; 0 where the campaign distributes it"),
        ("scheduled_budget", "money", "the budget from the next day on"),
        ("schedule_type", "text", "with an end date, or from the start date on"),
        ("schedule_start_time", "instant", "when it starts"),
        ("schedule_end_time", "instant", "when it ends"),
        ("dayparting", "text", "336 digits, one per half hour of the week; 1 where it may run"),
        ("optimization_goal", "text", "optimization goal of delivery"),
        ("optimization_event", "text", "the event that delivery is optimized for"),
        ("billing_event", "text", "the event that is billed"),
        ("bid_type", "text", "with or without a bid"),
        ("bid_price", "money", "bid per click, thousand impressions or view"),
        ("conversion_bid_price", "money", "bid per conversion"),
        ("deep_cpa_bid", "money", "bid per deep-funnel conversion"),
        ("roas_bid", "ratio", "target return on ad spend"),
        ("pacing", "text", "smooth or fast"),
        ("pixel_id", "id", "the pixel that records conversions"),
        ("click_attribution_window", "text", "days after a click within which a conversion is attributed to it"),
        ("view_attribution_window", "text", "days after a view within which a conversion is attributed to it"),
        ("creative_material_mode", "text", "how its creatives are combined"),
        ("skip_learning_phase", "flag", "whether the learning phase is skipped"),
        *_TIMES,
    ),
)

ADS = Entity(
    table="ads",
    endpoint=AD_LIST,
    key="ad_id",
    fixed_filters=_ALL_STATUSES,
    status_column="secondary_status",
    has_special_types=True,
    meaning="Every ad of the account, including deleted ones and those of TopView and Promote.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "its campaign"),
        ("campaign_name", "text", "its campaign's name"),
        ("adgroup_id", "id", "its ad group"),
        ("adgroup_name", "text", "its ad group's name"),
        ("ad_id", "id", "the ad"),
        ("ad_name", "text", "its name"),
        *_STATUS,
        ("ad_format", "text", "format, such as video, image or carousel"),
        ("ad_text", "text", "the ad text"),
        ("ad_texts", "json", "the ad texts, if there are several"),
        ("call_to_action", "text", "the call-to-action button"),
        ("call_to_action_id", "id", "the set of call-to-action buttons, if TikTok selects one"),
        ("landing_page_url", "text", "URL that a click opens"),
        ("display_name", "text", "the name shown beside the ad"),
        ("identity_type", "text", "type of the identity the ad is shown under"),
        ("identity_id", "id", "the identity the ad is shown under"),
        ("identity_authorized_bc_id", "id", "the Business Center that authorized the identity"),
        ("video_id", "id", "the video"),
        ("image_ids", "json", "the images, or the cover of the video"),
        ("tiktok_item_id", "id", "the TikTok post behind a Spark ad"),
        ("music_id", "id", "the music"),
        ("deeplink", "text", "deep link into an app"),
        ("is_aco", "flag", "whether it uses automated creative optimization"),
        ("campaign_automation_type", "text", "MANUAL, SMART_PLUS, or for a creative UPGRADED_SMART_PLUS_CREATIVE"),
        ("smart_plus_ad_id", "id", "the Smart+ ad this creative belongs to"),
        ("ad_id_v2", "id", "the ad, where ad_id is the id of a Smart+ creative"),
        ("utm_params", "json", "URL parameters added to the landing page"),
        *_TIMES,
    ),
)


SMART_PLUS_ADS = Entity(
    table="smart_plus_ads",
    endpoint=SMART_PLUS_AD_LIST,
    key="smart_plus_ad_id",
    page_size=100,
    fixed_filters=_ALL_STATUSES,
    status_column="secondary_status",
    # The page advises ranges within six months. Only long lists are split, because each range costs a request.
    creation_ranges=CreationRanges(
        "creation_filter_start_time", "creation_filter_end_time", days=182, above_rows=5000
    ),
    condition=SMART_PLUS_CAMPAIGN,
    meaning="Every ad of the Upgraded Smart+ campaigns of the account, including deleted ones; its creatives are"
    " in `ads`, by `smart_plus_ad_id`.",
    columns=_columns(
        _OWNER,
        ("campaign_id", "id", "its campaign"),
        ("campaign_name", "text", "its campaign's name"),
        ("adgroup_id", "id", "its ad group"),
        ("adgroup_name", "text", "its ad group's name"),
        ("smart_plus_ad_id", "id", "the ad; `ads` has its creatives"),
        ("ad_name", "text", "its name"),
        *_STATUS,
        (
            "creative_list",
            "json",
            "its creatives, each with its material id, status and the video, images or TikTok post",
        ),
        ("ad_text_list", "json", "the ad texts that are combined with the creatives"),
        ("call_to_action_list", "json", "the call-to-action buttons"),
        ("interactive_add_on_list", "json", "the interactive add-ons"),
        ("page_list", "json", "the TikTok Instant Pages that a click opens"),
        ("landing_page_url_list", "json", "the URLs that a click opens"),
        ("custom_product_page_list", "json", "the product pages in the App Store"),
        ("deeplink_list", "json", "the deep links into an app, each with its type"),
        ("auto_message_list", "json", "the automatic messages of a messaging ad"),
        ("disclaimer", "json", "the disclaimer"),
        (
            "ad_configuration",
            "json",
            "further settings, such as identity, products, URL parameters, call-to-action buttons and tracking",
        ),
        *_TIMES,
    ),
)
"""Source: mengxingxinqing/tiktok_ads, get_upgraded_smart_ads."""


@dataclass(frozen=True, slots=True)
class SpecialCampaignType:
    """A type of campaign that the lists of campaigns, ad groups and ads only contain if a filter requests it.

    Attributes:
        name: TikTok's name of the type.
        filter_name: the name of the filter.
        filter_value: the value that requests only this type.
        page_size: how many rows a page can have.
    """

    name: str
    filter_name: str
    filter_value: str
    page_size: int = MAX_PAGE_SIZE


TOPVIEW_AND_PROMOTE = (
    SpecialCampaignType("TopView", "buying_types", "RESERVATION_TOP_VIEW", page_size=100),
    SpecialCampaignType("Promote", "campaign_system_origins", "PROMOTE"),
)
"""The campaign types that need a filter.

Source: mengxingxinqing/tiktok_ads, get_campaigns and get_ad_groups, for the defaults of both filters, for the rule
that TopView cannot be combined with other values (confirmed by estuary/connectors on 2026-08-13), and for its page
size of 100.
"""

CAMPAIGN_ENTITIES = (CAMPAIGNS, AD_GROUPS, ADS)
"""The campaign hierarchy; its reports have the same levels."""

LISTED_ENTITIES = (*CAMPAIGN_ENTITIES, SMART_PLUS_ADS)
"""The entities that are read per advertiser, page by page."""

ENTITIES = (ADVERTISERS, *LISTED_ENTITIES)
