"""Answer report/integrated/get: rows, order and pages (API notes 6)."""

from random import Random

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.params import cut_page
from tiktok_assets.sandbox.reads.report_query import ReportQuery, parse_query
from tiktok_assets.sandbox.reads.report_rows import (
    Row,
    format_metrics,
    metric_formatter,
    reported_entities,
    rows_of,
    sort_value,
    with_lists,
)
from tiktok_assets.sandbox.reads.tt_shop_report import tt_shop_report
from tiktok_assets.sandbox.world.facts import sum_over_ads
from tiktok_assets.sandbox.world.metrics import NO_VALUE
from tiktok_assets.sandbox.world.model import Advertiser

THROTTLE_HEADER = "X-Tt-Ads-Throttle"  # API notes 3.1, 6.3
SCATTER_FACTOR = 0x9E3779B97F4A7C15  # without an order field the order of rows is arbitrary (API notes 6.1)


def report(context: Context) -> ResponseData:
    """Answer one page of a BASIC, AUDIENCE or TT_SHOP report."""
    if context.params.text("report_type") == "TT_SHOP":
        return tt_shop_report(context)
    switches = context.switches
    query = parse_query(
        context.params,
        old_lifetime=switches.old_lifetime,
        withdrawn=switches.withdrawn_metrics,
        named=switches.withdrawn_metrics_named,
    )
    advertiser = context.advertiser(query.advertiser_id)
    rows = _cached_rows(context, query, advertiser)
    if context.hidden_ids:
        rows = [row for row in rows if row.entity.id not in context.hidden_ids]
    if context.page_fault.shuffle_seed is not None:
        rows = _shuffled(rows, query, advertiser, context.page_fault.shuffle_seed)
    page, info = cut_page(rows, query.page, query.page_size, context.page_fault)
    formatters = [metric_formatter(name, advertiser) for name in query.metrics]
    data: ResponseData = {
        "list": [
            {
                "dimensions": row_dimensions(query, row),
                "metrics": with_lists(
                    format_metrics(row, formatters), row, context.now, beside=switches.single_attributes_of_lists
                ),
            }
            for row in page
        ],
        "page_info": info,
    }
    # Totals (API notes 6.1) are not in TikTok's own sandbox; their attributes are "-" (6.5).
    if query.with_totals and query.page == 1 and not context.switches.tiktok_sandbox:
        total = Row(advertiser, {}, None, sum_over_ads(row.vector for row in rows))
        data["total_metrics"] = format_metrics(total, formatters)
    return data


def _shuffled(rows: list[Row], query: ReportQuery, advertiser: Advertiser, seed: int) -> list[Row]:
    """Return the rows with those of equal rank in another order; without an order field that is all of them."""
    shuffled = Random(seed).sample(rows, len(rows))
    if query.order_field:
        format_row = metric_formatter(query.order_field, advertiser).format_row
        shuffled.sort(key=lambda row: sort_value(format_row(row)), reverse=query.descending)
    return shuffled


def row_dimensions(query: ReportQuery, row: Row) -> dict[str, str]:
    """Return the dimensions of a row, by name."""
    dimensions = {}
    for name in query.dimensions:
        if name == query.time_dimension:
            dimensions[name] = row.time or NO_VALUE
        elif name in row.breakdown_values:
            dimensions[name] = row.breakdown_values[name]
            if name == "interest_category":  # the response has both names (API notes 6.2)
                dimensions["interest_category_v2"] = row.breakdown_values[name]
        else:
            dimensions[name] = row.attributes["ad_id_v2"] if name == "ad_id_v2" else row.entity.id
    return dimensions


def _cached_rows(context: Context, query: ReportQuery, advertiser: Advertiser) -> list[Row]:
    """Return the rows of a query, from the cache if possible, and set the header of a truncated report."""
    hour = context.facts.latest_hour(context.now)
    switches = context.switches
    key = (
        "report",
        advertiser.id,
        query.is_audience,
        query.level.name,
        "ad_id_v2" in query.dimensions,
        query.breakdowns,
        query.time_dimension,
        query.first,
        query.last,
        tuple(one.key for one in query.filters),
        query.order_field,
        query.descending,
        hour,
        context.world.version,
        (switches.max_report_ads, switches.zero_rows, switches.tiktok_sandbox),
    )
    if key not in context.cache.entries:
        rows = compute_rows(context, query, advertiser, hour, max_ads=switches.max_report_ads)
        context.cache.store(key, rows)
    found, throttled = context.cache.entries[key]
    if throttled:
        context.headers[THROTTLE_HEADER] = "true"
    return found  # type: ignore[no-any-return]


def compute_rows(
    context: Context, query: ReportQuery, advertiser: Advertiser, hour: int, *, max_ads: int | None
) -> tuple[list[Row], bool]:
    """Return the ordered rows of a query, and whether they are truncated to the newest `max_ads` ads."""
    reported = reported_entities(query, advertiser, hour)
    throttled = max_ads is not None and query.level.name == "AUCTION_AD" and len(reported) > max_ads
    if throttled:  # only the newest ads are included (API notes 6.3)
        reported = sorted(reported, key=lambda one: int(one.entity.id), reverse=True)[:max_ads]
    rows = [row for one in reported for row in rows_of(context, query, one, hour)]
    for one in query.filters:
        if one.on_metric:
            format_row = metric_formatter(one.attribute, advertiser).format_row
            rows = [row for row in rows if one.predicate(format_row(row))]
        elif one.on_breakdown:
            rows = [row for row in rows if one.predicate(row.breakdown_values[one.attribute])]
    rows.sort(
        key=lambda row: (
            int(row.entity.id) * SCATTER_FACTOR % (1 << 64),
            row.time or "",
            *row.breakdown_values.values(),
        )
    )
    if query.order_field and not context.switches.tiktok_sandbox:  # ignored there (API notes 6.8)
        format_row = metric_formatter(query.order_field, advertiser).format_row
        rows.sort(key=lambda row: sort_value(format_row(row)), reverse=query.descending)
    return rows, throttled
