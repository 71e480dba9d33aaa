"""Answer gmv_max/report/get: rows by account, campaign, product or post of one shop."""

from array import array
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.params import cut_page
from tiktok_assets.sandbox.reads.gmv_max_query import PRODUCTS, GmvMaxQuery, parse_gmv_max_query
from tiktok_assets.sandbox.world.ad_delivery import Vector
from tiktok_assets.sandbox.world.api_objects import identities_of
from tiktok_assets.sandbox.world.gmv_max import (
    COLUMN,
    COLUMNS,
    GmvMaxCampaign,
    Leaf,
    delivery,
    hourly_delivery,
    known_days,
)
from tiktok_assets.sandbox.world.metrics import format_decimal
from tiktok_assets.sandbox.world.model import Advertiser, format_utc
from tiktok_assets.sandbox.world.status import matches_status, operation_status, secondary_status

Key = tuple[str, ...]
Row = tuple[Key, Vector, GmvMaxCampaign, Leaf]  # the values of its dimensions, and what its attributes are of
FOREVER = "2038-01-01 00:00:00"  # the end of a schedule without one; our choice
# Metric -> (numerator, denominator, factor); money is divided by orders and views, rates are percentages.
QUOTIENTS = {
    "cost_per_order": ("cost", "orders", 1),
    "roi": ("gross_revenue", "cost", 100),
    "product_click_rate": ("product_clicks", "product_impressions", 10_000),
    "ad_click_rate": ("ad_clicks", "ad_views", 10_000),
    "ad_conversion_rate": ("ad_conversions", "ad_clicks", 10_000),
    "cost_per_live_view": ("cost", "live_views", 1),
    "cost_per_10_second_live_view": ("cost", "10_second_live_views", 1),
    "all_shops_cost_per_order": ("cost", "orders", 1),
    "all_shops_roi": ("gross_revenue", "cost", 100),
    **{
        f"ad_video_view_rate_{part}": (f"views_{part}", "ad_views", 10_000)
        for part in ("2s", "6s", "p25", "p50", "p75", "p100")
    },
}
MONEY = frozenset(("cost", "net_cost", "gross_revenue"))
MONEY_QUOTIENTS = frozenset(name for name in QUOTIENTS if name.startswith(("cost_per", "all_shops_cost")))
# Typed as numbers, not as text, on the page.
NUMBERS = {"all_shops_orders": "orders", "all_shops_gross_revenue": "gross_revenue"}


def gmv_max_report(context: Context) -> ResponseData:
    """Answer one page of a report."""
    query = parse_gmv_max_query(context.params, context.switches)
    advertiser = context.advertiser(query.advertiser_id)
    if query.store_id not in {shop.id for shop in advertiser.shops if shop.is_available}:
        # The code and the text are not documented.
        raise ApiError(40001, f"The ad account has no permission for TikTok Shop {query.store_id}.")
    rows = list(_rows(context, query, advertiser))
    if query.sort_field:
        field = query.sort_field
        rows.sort(key=lambda row: Decimal(str(_metric(field, row[1], advertiser))), reverse=query.descending)
    page, info = cut_page(rows, query.page, query.page_size, context.page_fault)
    listed = [
        {
            "dimensions": dict(zip(query.dimensions, key, strict=True)),
            "metrics": _metrics(context, query, row=(key, vector, campaign, leaf)),
        }
        for key, vector, campaign, leaf in page
    ]
    data: ResponseData = {"list": listed, "page_info": info}
    if query.with_totals:
        total = _sum([vector for _, vector, _, _ in rows])
        names = [name for name in query.metrics if name in query.level.metrics and _is_numeric(name)]
        data["total_metrics"] = {name: _metric(name, total, advertiser) for name in names}
    return data


def _rows(context: Context, query: GmvMaxQuery, advertiser: Advertiser) -> Iterator[Row]:
    """Yield the rows of a query, by their dimensions.

    Products and posts have a row without delivery too; by campaign, product, post and day there are only rows with
    cost (metrics_in_gmv_max_campaign_reports).
    """
    cells: dict[Key, list[Vector]] = {}
    owners: dict[Key, tuple[GmvMaxCampaign, Leaf]] = {}
    for campaign, leaf in _leaves(context, query, advertiser):
        ids = {
            "advertiser_id": advertiser.id,
            "campaign_id": campaign.id,
            "item_group_id": leaf.product.id if leaf.product else "",
            "item_id": leaf.post.id if leaf.post else "",
        }
        for time, vector in _deliveries(context, query, campaign, leaf):
            key = tuple(time if name == query.time else ids[name] for name in query.dimensions)
            cells.setdefault(key, []).append(vector)
            owners.setdefault(key, (campaign, leaf))
    needs_cost = "item_id" in query.dimensions and query.time is not None
    for key, vectors in sorted(cells.items()):
        total = _sum(vectors)
        if total[COLUMN["cost"]] or not (needs_cost or (query.time and not context.switches.gmv_max_zero_days)):
            yield key, total, *owners[key]


def _leaves(context: Context, query: GmvMaxQuery, advertiser: Advertiser) -> Iterator[tuple[GmvMaxCampaign, Leaf]]:
    """Yield the parts of campaigns that pass the filters."""
    for campaign in (one for shop in advertiser.shops if shop.id == query.store_id for one in shop.campaigns):
        status = secondary_status(campaign, context.now)
        if (
            not campaign.exists(context.now)
            or campaign.promotion_type not in query.types
            or not any(matches_status(status, wanted) for wanted in query.statuses)
            or query.campaign_name not in campaign.name.casefold()
            or campaign.id not in query.ids.get("campaign_ids", {campaign.id})
        ):
            continue
        for leaf in campaign.leaves:
            if not query.level.is_fine or _is_wanted(query, leaf):
                yield campaign, leaf


def _is_wanted(query: GmvMaxQuery, leaf: Leaf) -> bool:
    """Return whether the product and post of a leaf pass the filters."""
    if leaf.product is None or leaf.post is None:
        return False
    removed = leaf.post.status == "EXCLUDED"
    of_type = {None: True, "ADS_AND_ORGANIC": not removed, "ORGANIC": False, "REMOVED": removed}
    words = f"{leaf.post.title} {leaf.post.id} {leaf.post.account_name}".casefold()
    return (
        leaf.product.id in query.ids.get("item_group_ids", {leaf.product.id})
        and leaf.post.id in query.ids.get("item_ids", {leaf.post.id})
        and (query.delivery_statuses is None or leaf.post.status in query.delivery_statuses)
        and of_type[query.creative_type]
        and query.search_word in words
    )


def _deliveries(
    context: Context, query: GmvMaxQuery, campaign: GmvMaxCampaign, leaf: Leaf
) -> Iterator[tuple[str, Vector]]:
    """Yield (time, delivery) of a leaf within the window."""
    hour = context.facts.latest_hour(context.now)
    seed, is_fine = context.world.plan.seed, query.level.is_fine
    if query.time is None:
        yield "", array("q", bytes(8 * len(COLUMNS)))
    for ordinal in known_days(campaign, hour):
        day = date.fromordinal(ordinal)
        if not query.first <= day <= query.last:
            continue
        if query.time == "stat_time_hour":
            hours = hourly_delivery(seed, campaign, leaf, ordinal, hour, is_fine=is_fine)
            yield from ((f"{day.isoformat()} {label:02d}:00:00", part) for label, part in hours)
        else:
            vector = delivery(seed, campaign, leaf, ordinal, hour, is_fine=is_fine)
            yield f"{day.isoformat()} 00:00:00" if query.time else "", vector


def _sum(vectors: list[Vector]) -> Vector:
    return array("q", map(sum, zip(*vectors, strict=True))) if vectors else array("q", bytes(8 * len(COLUMNS)))


def _is_numeric(name: str) -> bool:
    return name in COLUMN or name in QUOTIENTS or name in NUMBERS


def _metrics(context: Context, query: GmvMaxQuery, row: Row) -> ResponseData:
    """Return the requested metrics of a row.

    Rows of products and posts have `currency` too, which is "0" for products (both are so in the examples of
    metrics_in_gmv_max_campaign_reports).
    """
    _, vector, campaign, leaf = row
    advertiser = campaign.shop.advertiser
    attributes = _attributes(context, campaign, leaf)
    metrics: ResponseData = {}
    for name in query.metrics:
        metrics[name] = _metric(name, vector, advertiser) if _is_numeric(name) else attributes[name]
    if query.level.is_fine:
        metrics["currency"] = "0" if query.level is PRODUCTS else advertiser.account.currency
    return metrics


def _metric(name: str, vector: Vector, advertiser: Advertiser) -> str | int | float:
    """Format a delivery metric."""
    decimals = advertiser.currency.decimals
    if name in NUMBERS:
        value = vector[COLUMN[NUMBERS[name]]]
        return value if NUMBERS[name] == "orders" else value / 10**decimals
    if name in QUOTIENTS:
        numerator, denominator, factor = QUOTIENTS[name]
        divisor = vector[COLUMN[denominator]]
        quotient = (2 * vector[COLUMN[numerator]] * factor + divisor) // (2 * divisor) if divisor else 0
        text = format_decimal(quotient, decimals if name in MONEY_QUOTIENTS else 2)
        return float(text) if name.startswith("all_shops") else text
    return format_decimal(vector[COLUMN[name]], decimals) if name in MONEY else str(vector[COLUMN[name]])


def _attributes(context: Context, campaign: GmvMaxCampaign, leaf: Leaf) -> dict[str, str]:
    """Return all attributes of a row's campaign, product and post."""
    advertiser, website = campaign.shop.advertiser, campaign.shop.advertiser.account.website
    budget = format_decimal(campaign.budget, advertiser.currency.decimals)
    found = {
        "campaign_id": campaign.id,
        "operation_status": operation_status(campaign, context.now),
        "campaign_name": campaign.name,
        "schedule_type": "Continuously",
        "schedule_start_time": format_utc(campaign.created),
        "schedule_end_time": FOREVER,
        "target_roi_budget": budget,
        "bid_type": "CUSTOM",
        "max_delivery_budget": format_decimal(0, advertiser.currency.decimals),
        "roas_bid": format_decimal(campaign.roas_bid, 2),
        "tt_account_name": leaf.post.account_name if leaf.post else advertiser.account.company,
        "tt_account_profile_image_url": f"{website}profile.jpeg",
        "identity_id": identities_of(advertiser)[0].identity_id,
    }
    if leaf.product:
        found |= {
            "product_name": leaf.product.name,
            "item_group_id": leaf.product.id,
            "product_image_url": f"{website}{leaf.product.id}.jpeg",
            "product_status": "available" if leaf.product.is_available else "unavailable",
        }
    if leaf.post:
        found |= {
            "title": leaf.post.title,
            "item_id": leaf.post.id,
            "tt_account_authorization_type": leaf.post.authorization,
            "shop_content_type": leaf.post.content_type,
            "creative_delivery_status": leaf.post.status,
        }
    return found
