"""The tables of GMV Max (TikTok Shop): the shops of an account, and the reports of its campaigns and products.

GMV Max campaigns are in none of the other reports. Sources: mengxingxinqing/tiktok_ads, pages
get_tiktok_shops_for_gmv_max_campaigns, run_a_gmv_max_campaign_report and metrics_in_gmv_max_campaign_reports.
"""

from dataclasses import dataclass
from typing import Literal

from tiktok_assets.spec.columns import Column, Kind
from tiktok_assets.spec.endpoints import GMV_MAX_SHOP_LIST
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.reports import EXTRA, FETCHED_AT

PromotionType = Literal["PRODUCT", "LIVE"]


def _columns(*rows: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(name, name, kind, meaning) for name, kind, meaning in rows)


GMV_MAX_SHOPS = Entity(
    table="gmv_max_shops",
    endpoint=GMV_MAX_SHOP_LIST,
    key="store_id",
    meaning="The TikTok Shops an account has access to, and whether it can run GMV Max campaigns for them;"
    " requested once a week.",
    columns=_columns(
        ("advertiser_id", "id", "the ad account"),
        ("store_id", "id", "the TikTok Shop"),
        ("store_name", "text", "its name"),
        ("store_code", "text", "its shop code"),
        ("store_status", "text", "ACTIVE, INACTIVE or NEW_CREATE"),
        ("store_role", "text", "permission of the token's user: AD_PROMOTION, MANAGER or UNSET"),
        ("is_gmv_max_available", "flag", "whether GMV Max campaigns can be created for it"),
        ("exclusive_authorized_advertiser_info", "json", "the only account that may run GMV Max for it"),
        ("store_authorized_bc_id", "id", "the Business Center through which the account has access"),
        ("is_owner_bc", "flag", "whether that Business Center owns the shop"),
        ("store_authorized_bc_info", "json", "that Business Center: name and role of the token's user"),
        ("targeting_region_codes", "json", "regions the shop can target"),
        ("thumbnail_url", "text", "its picture"),
    ),
)


@dataclass(frozen=True, slots=True)
class GmvMaxMetric:
    """One metric or attribute of a GMV Max report.

    Attributes:
        api_name: the API's name.
        kind: the kind of its values.
        meaning: its meaning for the data dictionary.
        is_additive: whether it can be summed over days and campaigns.
        promotion_types: the types of campaign it exists for.
    """

    api_name: str
    kind: Kind
    meaning: str
    is_additive: bool = False
    promotion_types: tuple[PromotionType, ...] = ("PRODUCT", "LIVE")

    @property
    def name(self) -> str:
        """The name of the column; SQL requires quotes around a name that begins with a digit."""
        return "live_views_10_seconds" if self.api_name == "10_second_live_views" else self.api_name


_LIVE: tuple[PromotionType, ...] = ("LIVE",)

_ATTRIBUTES = (
    GmvMaxMetric("campaign_name", "text", "the campaign's name"),
    GmvMaxMetric("operation_status", "text", "ENABLE or DISABLE"),
    GmvMaxMetric("bid_type", "text", "CUSTOM for a target ROI, NO_BID for maximum delivery"),
    GmvMaxMetric("schedule_type", "text", "how the campaign is scheduled, such as Continuously"),
    # The page says UTC, but its example has no format: kept as text.
    GmvMaxMetric("schedule_start_time", "text", "when it starts, UTC"),
    GmvMaxMetric("schedule_end_time", "text", "when it ends, UTC"),
    GmvMaxMetric("target_roi_budget", "money", "budget for delivery at the target ROI"),
    GmvMaxMetric("max_delivery_budget", "money", "budget for maximum delivery"),
    GmvMaxMetric("roas_bid", "ratio", "target ROI"),
    GmvMaxMetric("tt_account_name", "text", "name of the TikTok account that is live", promotion_types=_LIVE),
    GmvMaxMetric("identity_id", "text", "identity of the TikTok account that is live", promotion_types=_LIVE),
)
_COST = GmvMaxMetric("cost", "money", "spend", is_additive=True)
_NET_COST = GmvMaxMetric(
    "net_cost", "money", "spend without credits and coupons; up to 11 hours late", is_additive=True
)
_SALES = (
    GmvMaxMetric("orders", "count", "paid and organic SKU orders during the campaign", is_additive=True),
    GmvMaxMetric("cost_per_order", "money", "cost / orders"),
    GmvMaxMetric(
        "gross_revenue", "money", "revenue of these orders, with subsidies of the platform", is_additive=True
    ),
    GmvMaxMetric("roi", "ratio", "gross_revenue / cost"),
)


def _live(name: str, kind: Kind, meaning: str, *, is_additive: bool = False) -> GmvMaxMetric:
    return GmvMaxMetric(name, kind, meaning, is_additive=is_additive, promotion_types=_LIVE)


_LIVE_RESULTS = (
    _live("all_shops_orders", "count", "`orders` of all shops the livestreams promoted", is_additive=True),
    _live("all_shops_cost_per_order", "money", "cost / all_shops_orders"),
    _live("all_shops_gross_revenue", "money", "`gross_revenue` of all these shops", is_additive=True),
    _live("all_shops_roi", "ratio", "all_shops_gross_revenue / cost"),
    _live("live_views", "count", "views of the livestreams", is_additive=True),
    _live("cost_per_live_view", "money", "cost / live_views"),
    _live("10_second_live_views", "count", "views of at least ten seconds", is_additive=True),
    _live("cost_per_10_second_live_view", "money", "cost / live_views_10_seconds"),
    _live("live_follows", "count", "users who followed the profile during the livestreams", is_additive=True),
)
_POST_RESULTS = (
    GmvMaxMetric("product_impressions", "count", "paid views of the product from the post", is_additive=True),
    GmvMaxMetric("product_clicks", "count", "paid clicks on the product from the post", is_additive=True),
    *(
        GmvMaxMetric(name, "rate", meaning)
        for name, meaning in (
            ("product_click_rate", "product_clicks / product_impressions"),
            ("ad_click_rate", "clicks of paid views / paid views"),
            ("ad_conversion_rate", "conversions of paid clicks / paid clicks"),
            ("ad_video_view_rate_2s", "paid views of at least two seconds"),
            ("ad_video_view_rate_6s", "paid views of at least six seconds"),
            ("ad_video_view_rate_p25", "paid views of at least a quarter of the video"),
            ("ad_video_view_rate_p50", "paid views of at least half of the video"),
            ("ad_video_view_rate_p75", "paid views of at least three quarters of the video"),
            ("ad_video_view_rate_p100", "paid views of the whole video"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class GmvMaxReport:
    """One report table of GMV Max, with a partition per account and day.

    Attributes:
        table: the name of the table and its asset.
        meaning: one sentence for the data dictionary.
        dimensions: the requested ids, each with its meaning; the day is requested in addition.
        metrics: the requested metrics.
        promotion_types: the types of campaign; each has a query of its own, because the API requires the filter.
        is_standard: whether the table exists unless `TIKTOK_REPORTS` selects others.
    """

    table: str
    meaning: str
    dimensions: tuple[tuple[str, str], ...]
    metrics: tuple[GmvMaxMetric, ...]
    promotion_types: tuple[PromotionType, ...]
    is_standard: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the requested ids."""
        return tuple(name for name, _ in self.dimensions)

    @property
    def key(self) -> tuple[str, ...]:
        """The key columns, in table order."""
        return ("advertiser_id", "date", "store_id", *self.ids)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table, in order; `api_name` is "" for those this project adds."""
        return (
            Column("advertiser_id", "", "id", "the ad account"),
            Column("date", "stat_time_day", "day", "the account's calendar day"),
            Column("store_id", "", "id", "the TikTok Shop"),
            *(Column(name, name, "id", meaning) for name, meaning in self.dimensions),
            Column("promotion_type", "", "text", "PRODUCT or LIVE"),
            Column("currency", "currency", "text", "ISO 4217 code; the currency of every amount of the row"),
            *(Column(one.name, one.api_name, one.kind, one.meaning) for one in self.metrics),
            FETCHED_AT,
            Column("is_complete", "", "flag", "read after the day's end and TikTok's delays"),
            Column("is_settled", "", "flag", "read more than 28 days after the day"),
            EXTRA,
        )


_CAMPAIGN = ("campaign_id", "the GMV Max campaign, which is not in the table `campaigns`")
_PRODUCT = ("item_group_id", "the product (SPU)")

# Product and post reports have no attributes such as names: the API serves those for a single id only.
GMV_MAX_CAMPAIGN_REPORT = GmvMaxReport(
    table="gmv_max_report_daily",
    meaning="Cost and sales of each GMV Max campaign (TikTok Shop) on each of the account's days, deleted ones"
    " included. An account without a shop has no partitions.",
    dimensions=(_CAMPAIGN,),
    metrics=(*_ATTRIBUTES, _COST, _NET_COST, *_SALES, *_LIVE_RESULTS),
    promotion_types=("PRODUCT", "LIVE"),
    is_standard=True,
)
GMV_MAX_PRODUCT_REPORT = GmvMaxReport(
    table="gmv_max_product_report_daily",
    meaning="Cost and sales of each product in each Product GMV Max campaign on each of the account's days.",
    dimensions=(_CAMPAIGN, _PRODUCT),
    metrics=(GmvMaxMetric("product_status", "text", "available or unavailable"), _COST, *_SALES),
    promotion_types=("PRODUCT",),
)
GMV_MAX_POST_REPORT = GmvMaxReport(
    table="gmv_max_post_report_daily",
    meaning="Cost and sales of each post for each product in each Product GMV Max campaign on each of the"
    " account's days; TikTok returns posts with cost only.",
    dimensions=(_CAMPAIGN, _PRODUCT, ("item_id", "the TikTok post; -1 for the product card")),
    metrics=(
        GmvMaxMetric("creative_delivery_status", "text", "such as LEARNING, DELIVERING or EXCLUDED"),
        _COST,
        *_SALES,
        *_POST_RESULTS,
    ),
    promotion_types=("PRODUCT",),
)

GMV_MAX_REPORTS = (GMV_MAX_CAMPAIGN_REPORT, GMV_MAX_PRODUCT_REPORT, GMV_MAX_POST_REPORT)
GMV_MAX_REPORTS_BY_TABLE = {report.table: report for report in GMV_MAX_REPORTS}

GMV_MAX_STATUSES = ("STATUS_DELIVERY_OK", "STATUS_DISABLE", "STATUS_DELETE", "STATUS_NOT_DELIVERY")
"""Every status of a campaign as a filter of reports. The page run_a_gmv_max_campaign_report has STATUS_ALL too,
which the request schema in api-evangelist/tiktok-ads (openapi/, 2026-08-13) lacks."""
