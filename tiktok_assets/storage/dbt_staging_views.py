"""Define the staging models of `dbt_tiktok_ads` for Smart+ and locations, which its reports have joined since 1.3.

Names and order of columns follow fivetran/dbt_tiktok_ads: `creative_history` and `smart_plus_ad_history` those of
1.5.0-a1, `location` those of 1.3.0. A row is a version that a refresh has read, see the tables `ads_history` and
`smart_plus_ads_history`.
"""

from tiktok_assets.storage.duckdb_loading import LANDING_PAGES_TABLE, SMART_PLUS_PAGES
from tiktok_assets.storage.marts import url_part_columns
from tiktok_assets.storage.views import Tables, View, ViewColumn

DBT_SCHEMA = "dbt_tiktok_ads"

_SOURCE = ViewColumn("source_relation", "''", "always empty, because there is one source")
_UPDATED = ViewColumn(
    "updated_at",
    "coalesce(modify_time, valid_from)",
    "when it was changed, or, where TikTok does not say so, when the version was first read",
)
_NEWEST = ViewColumn("is_most_recent_record", "is_current", "whether this is the newest version")
_CREATIVE = (
    ("advertiser_id", "advertiser_id", "the ad account"),
    ("adgroup_id", "ad_group_id", "its ad group"),
    ("campaign_id", "campaign_id", "its campaign"),
    ("video_id", "video_id", "the video"),
    ("create_time", "create_time", "when it was created"),
    ("creative_name", "ad_name", "its name"),
    ("campaign_name", "campaign_name", "its campaign's name"),
    ("adgroup_name", "ad_group_name", "its ad group's name"),
    ("identity_id", "identity_id", "the identity it is shown under"),
    ("identity_type", "identity_type", "type of the identity"),
    ("campaign_automation_type", "campaign_automation_type", "how the campaign is run"),
    ("ad_text", "ad_text", "the ad text"),
    ("secondary_status", "secondary_status", "delivery status"),
    ("operation_status", "operation_status", "the status its owner set"),
    ("image_ids", "image_ids", "the images, or the cover of the video, as JSON"),
)
"""Columns of `creative_history`: name in the dbt model, our column, meaning."""

_SMART_PLUS_AD = (
    ("adgroup_id", "ad_group_id", "its ad group"),
    ("advertiser_id", "advertiser_id", "the ad account"),
    ("campaign_id", "campaign_id", "its campaign"),
    ("ad_name", "ad_name", "its name"),
    ("campaign_name", "campaign_name", "its campaign's name"),
    ("adgroup_name", "ad_group_name", "its ad group's name"),
    ("create_time", "create_time", "when it was created"),
    ("operation_status", "operation_status", "the status its owner set"),
    ("secondary_status", "secondary_status", "delivery status"),
)
_CONFIGURATION = (
    *(
        "tracking_info.click_tracking_url",
        "tracking_info.impression_tracking_url",
        "tracking_info.tracking_app_id",
    ),
    *("tracking_info.tracking_message_event_set_id", "identity_id", "identity_type", "dark_post_status"),
    *("product_specific_type", "product_set_id", "product_ids", "creative_auto_add_toggle"),
    *("catalog_creative_toggle", "end_card_cta", "product_display_field_list", "auto_disclaimer_types"),
    *("fallback_type", "call_to_action_id", "product_info.selling_points", "phone_info.phone_region_code"),
    *("phone_info.phone_region_calling_code", "phone_info.phone_number"),
)
"""Fields of `ad_configuration` in the order of the model, which writes `_` for `.`."""

_TOGGLES = {"creative_auto_add_toggle", "catalog_creative_toggle"}
_LISTS = (
    *("ad_text_list", "auto_message_list", "call_to_action_list", "interactive_add_on_list", "page_list"),
    *("custom_product_page_list", "deeplink_list"),
)
_LOCATION = (
    ("location_id", "VARCHAR", "TikTok's id of the location"),
    ("advertiser_id", "VARCHAR", "the ad account"),
    ("country_code", "VARCHAR", "ISO country code"),
    ("region_name", "VARCHAR", "its name"),
    ("region_level", "VARCHAR", "COUNTRY, PROVINCE and so on"),
    ("area_type", "VARCHAR", "ADMIN, GEO and so on"),
    ("parent_location_id", "VARCHAR", "the location it belongs to"),
    ("has_support_below_18", "BOOLEAN", "whether people under 18 can be targeted there"),
    ("_fivetran_synced", "TIMESTAMP WITH TIME ZONE", "when it was read"),
)


def build_staging_views(tables: Tables) -> list[View]:
    """Return the staging models whose source tables exist, and that of locations, which has no rows."""
    found = [_location_view()]
    if "ads_history" in tables:
        found.append(_creative_history_view())
    if "smart_plus_ads_history" in tables:
        found.append(_smart_plus_ad_history_view())
    return found


def _creative_history_view() -> View:
    return View(
        DBT_SCHEMA,
        "stg_tiktok_ads__creative_history",
        "Every version of each creative of an Upgraded Smart+ ad, with the columns of"
        " stg_tiktok_ads__creative_history.",
        (
            _SOURCE,
            ViewColumn("creative_id", "ad_id", "the creative, which reports call ad_id"),
            _UPDATED,
            ViewColumn("smart_plus_ad_id", "smart_plus_ad_id", "the Smart+ ad it belongs to"),
            *(ViewColumn(*one) for one in _CREATIVE),
            _NEWEST,
        ),
        "FROM main.ads_history WHERE nullif(nullif(smart_plus_ad_id, ''), '0') IS NOT NULL",
    )


def _smart_plus_ad_history_view() -> View:
    return View(
        DBT_SCHEMA,
        "stg_tiktok_ads__smart_plus_ad_history",
        "Every version of each Upgraded Smart+ ad, with the columns of stg_tiktok_ads__smart_plus_ad_history.",
        (
            _SOURCE,
            ViewColumn("smart_plus_ad_id", "smart_plus_ad_id", "the Smart+ ad"),
            _UPDATED,
            *(ViewColumn(*one) for one in _SMART_PLUS_AD),
            ViewColumn("landing_page_url", "landing_page_url", "the first of its landing pages in the alphabet"),
            ViewColumn("landing_page_urls", "landing_page_urls", "all its landing pages, separated by commas"),
            *url_part_columns(),
            *(_configuration_column(field) for field in _CONFIGURATION),
            *(ViewColumn(name, name, f"see smart_plus_ads.{name}") for name in _LISTS),
            _NEWEST,
        ),
        "FROM (SELECT *, pages[1] AS landing_page_url,"  # noqa: S608 - no input
        " nullif(array_to_string(pages, ', '), '') AS landing_page_urls,"
        " json_extract_string(configuration, '$.utm_params') AS utm_params"
        f" FROM (SELECT *, {SMART_PLUS_PAGES} AS pages, TRY_CAST(ad_configuration AS JSON) AS configuration"
        " FROM main.smart_plus_ads_history) AS version) AS page"
        f" LEFT JOIN {LANDING_PAGES_TABLE} USING (landing_page_url)",
    )


def _configuration_column(field: str) -> ViewColumn:
    value = f"json_extract_string(configuration, '$.{field}')"
    name = field.replace(".", "_")
    return ViewColumn(
        name, f"TRY_CAST({value} AS BOOLEAN)" if name in _TOGGLES else value, f"{field} of `ad_configuration`"
    )


def _location_view() -> View:
    return View(
        DBT_SCHEMA,
        "stg_tiktok_ads__location",
        "No rows, because TikTok's list of locations is not read; the columns of stg_tiktok_ads__location, for"
        " queries that join it.",
        (_SOURCE, *(ViewColumn(name, f"CAST(NULL AS {kind})", meaning) for name, kind, meaning in _LOCATION)),
        "WHERE false",
    )
