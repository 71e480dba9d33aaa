"""The reports of Upgraded Smart+ ads and of the elements of their creatives.

In an Upgraded Smart+ campaign `ad_id` is the id of a creative and `ad_id_v2` that of an ad, and a query may use
only one of them. Sources: mengxingxinqing/tiktok_ads, pages run_a_synchronous_report (the filter
`campaign_automation_type`), retrieve_data_for_upgrade_smart_smart_and_manual_campaigns,
supported_dimensions_for_upgraded_smart_creative_overview_re and
supported_dimensions_for_upgraded_smart_creative_breakdown_r.
"""

from tiktok_assets.spec.account_conditions import SMART_PLUS_CAMPAIGN
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.report_model import Breakdown, Level, Report
from tiktok_assets.spec.report_sources import BREAKDOWN, OVERVIEW

SMART_PLUS_AD = Level(
    "smart_plus_ad",
    "AUCTION_AD",
    "ad_id_v2",
    ("ad_name", "adgroup_id", "adgroup_name", "campaign_id", "campaign_name"),
    "ad_status",
    column="smart_plus_ad_id",
    list_attributes=(
        ("ad_text", Column("ad_text_list", "ad_text_list", "json", "the ad texts")),
        ("call_to_action", Column("call_to_action_list", "call_to_action_list", "json", "the buttons")),
    ),
)
SMART_PLUS_CREATIVE = Level("smart_plus_creative", "", "smart_plus_ad_id", (), None)
SMART_PLUS_CREATIVE_OF_ACCOUNT = Level("smart_plus_creative", "", "", (), None)
"""Reports by day have no dimension for the ad: a row is the total of an element over all Upgraded Smart+ ads."""

_ONLY_SMART_PLUS = (("campaign_automation_type", "UPGRADED_SMART_PLUS"),)
"""Keeps the ads of manual campaigns out, which `ad_id_v2` would include."""


def _element(name: str, field: str, name_field: str) -> Breakdown:
    return Breakdown(
        name,
        (
            Column(
                "element_id",
                f"{field}_id",
                "text",
                "the element: for a main material the video, image or carousel, for Spark Ads the TikTok post, for"
                " catalogue formats the catalogue",
            ),
        ),
        # Several formats of a catalogue have its id, so rows can differ in their type alone.
        extra_key_columns=(
            Column("element_type", f"{field}_type", "text", "the kind of element, such as VIDEO_SPARK_ADS"),
        ),
        attributes=(Column("element_name", name_field, "text", "the name or the text of the element"),),
    )


ELEMENTS = (
    _element("main_material", "main_material", "main_material_name"),
    _element("ad_text", "ad_text_entity", "ad_text"),
    _element("call_to_action", "call_to_action_entity", "call_to_action"),
    _element("interactive_add_on", "interactive_add_on_entity", "interactive_add_on_name"),
)
"""The elements that the creative reports split an ad into; `main_material` splits all of its spend."""

SMART_PLUS_REPORTS = (
    Report(
        "smart_plus_ad_report_daily",
        SMART_PLUS_AD,
        "daily",
        "Cost and results of each Upgraded Smart+ ad for each of the account's calendar days, deleted ones"
        " included.",
        time_dimension="stat_time_day",
        fixed_filters=_ONLY_SMART_PLUS,
        condition=SMART_PLUS_CAMPAIGN,
    ),
    Report(
        "smart_plus_ad_report_lifetime",
        SMART_PLUS_AD,
        "lifetime",
        "Cost and results of each Upgraded Smart+ ad over its whole lifetime, deleted ones included.",
        fixed_filters=_ONLY_SMART_PLUS,
        condition=SMART_PLUS_CAMPAIGN,
    ),
    Report(
        "smart_plus_creative_report_daily",
        SMART_PLUS_CREATIVE_OF_ACCOUNT,
        "daily",
        "Cost and results of each video, text, call to action and add-on over all Upgraded Smart+ ads of the"
        " account, for each of its calendar days.",
        report_type=None,
        time_dimension="stat_time_day",
        window_days=BREAKDOWN.window_days,
        breakdown=ELEMENTS[0],
        parts=ELEMENTS,
        source=BREAKDOWN,
        condition=SMART_PLUS_CAMPAIGN,
    ),
    Report(
        "smart_plus_creative_report_lifetime",
        SMART_PLUS_CREATIVE,
        "lifetime",
        "Cost and results of each video, text, call to action and add-on of each Upgraded Smart+ ad over its whole"
        " lifetime.",
        report_type=None,
        breakdown=ELEMENTS[0],
        parts=ELEMENTS,
        source=OVERVIEW,
        condition=SMART_PLUS_CAMPAIGN,
    ),
)
