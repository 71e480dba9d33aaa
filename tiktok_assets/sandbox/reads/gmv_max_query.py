"""Parse and validate requests of gmv_max/report/get.

Sources: mengxingxinqing/tiktok_ads, pages run_a_gmv_max_campaign_report and metrics_in_gmv_max_campaign_reports.
The dimensions `room_id` and `duration` are not imitated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from tiktok_assets.sandbox.http.context import Switches
from tiktok_assets.sandbox.http.errors import bad_parameter, invalid_metrics, metrics_conflict
from tiktok_assets.sandbox.http.params import MISSING, Params, parse_choice, parse_texts
from tiktok_assets.sandbox.reads.entity_filters import parse_ids
from tiktok_assets.sandbox.world.gmv_max import LIVE, PRODUCT

IDS = ("advertiser_id", "campaign_id", "item_group_id", "item_id")
TIMES = ("stat_time_day", "stat_time_hour")
NOT_IMITATED = ("room_id", "duration")
MAX_WINDOW_DAYS = {"stat_time_hour": 1, "stat_time_day": 30, None: 365}  # with both ends
CAMPAIGN_STATUSES = (
    *("STATUS_DELIVERY_OK", "STATUS_DISABLE", "STATUS_DELETE", "STATUS_NOT_DELIVERY"),
    "STATUS_ALL",  # on the page; not in the request schema of api-evangelist/tiktok-ads openapi/
)
DELIVERY_STATUSES = (
    *("IN_QUEUE", "LEARNING", "DELIVERING", "NOT_DELIVERYING", "AUTHORIZATION_NEEDED", "EXCLUDED"),
    *("UNAVAILABLE", "REJECTED", "NOT_ACTIVE"),
)
CREATIVE_TYPES = ("ADS_AND_ORGANIC", "ORGANIC", "REMOVED")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True)
class Level:
    """A level of metrics.

    Attributes:
        attributes: Its attribute metrics.
        metrics: Its delivery metrics.
        groupings: The id dimensions that belong to it.
        types: The values that the filter `gmv_max_promotion_types` must have; None if it is not needed.
        required: The filters that it requires.
        is_fine: Whether its cost is up to 11 hours late.
    """

    attributes: frozenset[str]
    metrics: frozenset[str]
    groupings: tuple[tuple[str, ...], ...]
    types: frozenset[str] | None = None
    required: tuple[str, ...] = ()
    is_fine: bool = False


_MONEY = "cost orders cost_per_order gross_revenue roi"
_CAMPAIGN = (
    "campaign_id operation_status campaign_name schedule_type schedule_start_time schedule_end_time"
    " target_roi_budget bid_type max_delivery_budget"
)
OVERVIEW = Level(frozenset(), _names(f"{_MONEY} net_cost"), (("advertiser_id",),))
PRODUCT_CAMPAIGNS = Level(
    _names(_CAMPAIGN), _names(f"{_MONEY} net_cost roas_bid"), (("campaign_id",),), frozenset((PRODUCT,))
)
LIVE_CAMPAIGNS = Level(
    _names(f"{_CAMPAIGN} tt_account_name tt_account_profile_image_url identity_id"),
    _names(
        f"{_MONEY} net_cost roas_bid live_views cost_per_live_view 10_second_live_views"
        " cost_per_10_second_live_view live_follows all_shops_cost_per_order all_shops_orders"
        " all_shops_gross_revenue all_shops_roi"
    ),
    (("campaign_id",),),
    frozenset((LIVE,)),
)
PRODUCTS = Level(
    _names("product_name item_group_id product_image_url bid_type"),
    _names(f"{_MONEY} product_status"),
    (("item_group_id",), ("campaign_id", "item_group_id")),
    required=("campaign_ids",),
    is_fine=True,
)
# ("item_id",) is in the example of run_a_gmv_max_campaign_report and not in the list of groupings.
POSTS = Level(
    _names(
        "title item_id tt_account_name tt_account_profile_image_url tt_account_authorization_type"
        " shop_content_type"
    ),
    _names(
        f"{_MONEY} creative_delivery_status product_impressions product_clicks product_click_rate ad_click_rate"
        " ad_conversion_rate ad_video_view_rate_2s ad_video_view_rate_6s ad_video_view_rate_p25"
        " ad_video_view_rate_p50 ad_video_view_rate_p75 ad_video_view_rate_p100"
    ),
    (("item_id",), ("campaign_id", "item_group_id", "item_id")),
    required=("campaign_ids", "item_group_ids"),
    is_fine=True,
)
SORT_FIELDS = {
    PRODUCT: OVERVIEW.metrics | POSTS.metrics - {"creative_delivery_status"},
    LIVE: LIVE_CAMPAIGNS.metrics
    - _names("all_shops_cost_per_order all_shops_orders all_shops_gross_revenue roas_bid"),
}


@dataclass(frozen=True, kw_only=True)
class GmvMaxQuery:
    """A validated request.

    Attributes:
        level: The level of its metrics.
        types: The types of campaigns that it includes.
        statuses: The campaign statuses that it includes.
        ids: The filters by ids.
    """

    advertiser_id: str
    store_id: str
    level: Level
    dimensions: tuple[str, ...]
    time: str | None
    metrics: tuple[str, ...]
    types: frozenset[str]
    statuses: tuple[str, ...]
    ids: Mapping[str, frozenset[str]]
    campaign_name: str
    delivery_statuses: frozenset[str] | None
    creative_type: str | None
    search_word: str
    first: date
    last: date
    sort_field: str | None
    descending: bool
    with_totals: bool
    page: int
    page_size: int


def parse_gmv_max_query(params: Params, switches: Switches) -> GmvMaxQuery:
    """Parse and validate a request.

    Raises:
        ApiError: 40002 or 40011, a parameter is missing, malformed or cannot be combined with another.
    """
    advertiser_id = params.identifier("advertiser_id")
    stores = params.texts("store_ids")
    if not stores:
        raise bad_parameter("store_ids", MISSING)
    (store_id,) = parse_ids(stores, "store_ids", 1)
    filtering: dict[str, Any] = params.json_value("filtering", dict) or {}
    dimensions = tuple(params.texts("dimensions") or ())
    ids, time = _parse_dimensions(dimensions)
    types = _parse_list(filtering, "gmv_max_promotion_types", (PRODUCT, LIVE))
    level = _level_of(ids, types)
    id_filters = {
        name: frozenset(parse_ids(filtering[name], f"filtering.{name}"))
        for name in ("campaign_ids", "item_group_ids", "item_ids", "room_ids")
        if filtering.get(name)
    }
    for name in level.required:
        if name not in id_filters:
            raise bad_parameter(f"filtering.{name}", MISSING)
    creative_types = _parse_list(filtering, "creative_types", CREATIVE_TYPES)
    delivery_statuses = _parse_list(filtering, "creative_delivery_statuses", DELIVERY_STATUSES)
    if creative_types and delivery_statuses:
        raise bad_parameter("filtering.creative_types", "Cannot be combined with creative_delivery_statuses.")
    first, last = _parse_window(params, time)
    page, page_size = params.page()
    return GmvMaxQuery(
        advertiser_id=advertiser_id,
        store_id=store_id,
        level=level,
        dimensions=dimensions,
        time=time,
        metrics=_parse_metrics(params, level, ids, id_filters, switches),
        types=frozenset(types or ((PRODUCT,) if level.is_fine else (PRODUCT, LIVE))),
        statuses=_parse_list(filtering, "campaign_statuses", CAMPAIGN_STATUSES) or ("STATUS_NOT_DELETE",),
        ids=id_filters,
        campaign_name=str(filtering.get("campaign_name") or "").casefold(),
        delivery_statuses=frozenset(delivery_statuses) if delivery_statuses else None,
        creative_type=next(iter(creative_types), None),
        search_word=str(filtering.get("search_word") or "").casefold(),
        first=first,
        last=last,
        sort_field=_parse_sort_field(params, level),
        descending=params.choice("sort_type", ("ASC", "DESC"), "DESC") == "DESC",
        with_totals=params.boolean("enable_total_metrics"),
        page=page,
        page_size=page_size,
    )


def _parse_list(filtering: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    if filtering.get(name) is None:
        return ()
    path = f"filtering.{name}"
    given = parse_texts(filtering[name], path)
    return tuple(parse_choice(one, f"{path}.{index}", allowed) for index, one in enumerate(given))


def _parse_dimensions(dimensions: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    if not dimensions:
        raise bad_parameter("dimensions", MISSING)
    for index, name in enumerate(dimensions):
        parse_choice(name, f"dimensions.{index}", (*IDS, *TIMES, *NOT_IMITATED))
        if name in NOT_IMITATED:
            raise bad_parameter(f"dimensions.{index}", f"{name} is not imitated by this sandbox.")
    times = [name for name in dimensions if name in TIMES]
    if len(times) > 1 or len(set(dimensions)) != len(dimensions):
        raise metrics_conflict()
    return tuple(name for name in IDS if name in dimensions), next(iter(times), None)


def _level_of(ids: tuple[str, ...], types: tuple[str, ...]) -> Level:
    """Return the level of a grouping; that of campaigns needs exactly one type of campaign."""
    if ids == ("campaign_id",):
        if len(types) != 1:
            raise bad_parameter(
                "filtering.gmv_max_promotion_types", "Exactly one type is required with campaign_id."
            )
        return LIVE_CAMPAIGNS if types == (LIVE,) else PRODUCT_CAMPAIGNS
    for level in (OVERVIEW, PRODUCTS, POSTS):
        if ids in level.groupings:
            return level
    raise metrics_conflict()


def _parse_window(params: Params, time: str | None) -> tuple[date, date]:
    first, last = params.required_date("start_date"), params.required_date("end_date")
    if last < first:
        raise bad_parameter("end_date", "Must not be earlier than start_date.")
    if (last - first).days + 1 > MAX_WINDOW_DAYS[time]:
        raise bad_parameter("end_date", f"The time range must not exceed {MAX_WINDOW_DAYS[time]} day(s).")
    return first, last


def _parse_metrics(
    params: Params,
    level: Level,
    ids: tuple[str, ...],
    filters: Mapping[str, frozenset[str]],
    switches: Switches,
) -> tuple[str, ...]:
    """Return the metrics; attributes of products and posts are for one id dimension and single ids only."""
    names = params.texts("metrics")
    if not names:
        raise bad_parameter("metrics", MISSING)
    several = len(ids) > 1 or any(len(values) > 1 for values in filters.values())
    without_attributes = level.is_fine and several
    allowed = level.metrics if without_attributes else level.metrics | level.attributes
    wrong = [name for name in names if name not in allowed]
    if wrong and without_attributes and not switches.gmv_max_attributes_refused:
        names = [name for name in names if name not in level.attributes]
        wrong = [name for name in wrong if name not in level.attributes]
    if wrong:
        raise invalid_metrics(wrong)
    return tuple(dict.fromkeys(names))


def _parse_sort_field(params: Params, level: Level) -> str | None:
    name = params.text("sort_field")
    allowed = SORT_FIELDS[LIVE if level is LIVE_CAMPAIGNS else PRODUCT]
    return None if name is None else parse_choice(name, "sort_field", sorted(allowed))
