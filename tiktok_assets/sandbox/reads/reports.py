"""Answer report/integrated/get: rows, order and pages (API notes 6)."""

from random import Random
from typing import Any

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.http.params import cut_page
from tiktok_assets.sandbox.reads.report_query import ReportQuery, parse_query
from tiktok_assets.sandbox.reads.report_rows import (
    Row,
    format_metrics,
    members_of,
    metric_formatter,
    rows_of,
    sort_value,
)
from tiktok_assets.sandbox.world.facts import sum_over_ads
from tiktok_assets.sandbox.world.metrics import NO_VALUE
from tiktok_assets.sandbox.world.model import Advertiser

THROTTLE_HEADER = "X-Tt-Ads-Throttle"  # dossier 3.1, 6.3
SCATTER_FACTOR = 0x9E3779B97F4A7C15  # rows come in no useful order unless asked for (dossier 6.1)


def report(context: Context) -> dict[str, Any]:
    """Answer one page of a BASIC or AUDIENCE report."""
    switches = context.switches
    query = parse_query(
        context.params,
        old_lifetime=switches.old_lifetime,
        withdrawn=switches.withdrawn_metrics,
        named=switches.withdrawn_metrics_named,
    )
    advertiser = context.advertiser(query.advertiser_id)
    rows = _cached_rows(context, query, advertiser)
    if context.hidden:
        rows = [row for row in rows if row.owner.id not in context.hidden]
    if context.trick.shuffle is not None:
        rows = _shuffled(rows, query, advertiser, context.trick.shuffle)
    page, info = cut_page(rows, query.page, query.page_size, context.trick)
    writers = [metric_formatter(name, advertiser) for name in query.metrics]
    data: dict[str, Any] = {
        "list": [
            {"dimensions": _row_dimensions(query, row), "metrics": format_metrics(row, writers)} for row in page
        ],
        "page_info": info,
    }
    # Totals: dossier 6.1, not in TikTok's own sandbox; attributes read "-" (6.5).
    if query.totals and query.page == 1 and not context.switches.tiktok_sandbox:
        total = Row(advertiser, {}, None, sum_over_ads(row.vector for row in rows))
        data["total_metrics"] = format_metrics(total, writers)
    return data


def _shuffled(rows: list[Row], query: ReportQuery, advertiser: Advertiser, seed: int) -> list[Row]:
    """Return the rows with those of equal rank in another order; without an order field all rank equal."""
    shuffled = Random(seed).sample(rows, len(rows))
    if query.order_field:
        write = metric_formatter(query.order_field, advertiser).write
        shuffled.sort(key=lambda row: sort_value(write(row)), reverse=query.descending)
    return shuffled


def _row_dimensions(query: ReportQuery, row: Row) -> dict[str, str]:
    found = {}
    for name in query.dimensions:
        if name == query.time_dimension:
            found[name] = row.when or NO_VALUE
        elif name in row.labels:
            found[name] = row.labels[name]
            if name == "interest_category":  # it adds its second version (dossier 6.2)
                found["interest_category_v2"] = row.labels[name]
        else:
            found[name] = row.attributes["ad_id_v2"] if name == "ad_id_v2" else row.owner.id
    return found


def _cached_rows(context: Context, query: ReportQuery, advertiser: Advertiser) -> list[Row]:
    hour = context.facts.at(context.now)
    switches = context.switches
    key = (
        "report",
        advertiser.id,
        query.audience,
        query.level.name,
        "ad_id_v2" in query.dimensions,
        query.breakdowns,
        query.time_dimension,
        query.first,
        query.last,
        tuple(one.identity for one in query.filters),
        query.order_field,
        query.descending,
        hour,
        context.world.version,
        (switches.max_report_ads, switches.zero_rows, switches.tiktok_sandbox),
    )
    if key not in context.cache.kept:
        context.cache.keep(key, _compute_rows(context, query, advertiser, hour))
    rows, throttled = context.cache.kept[key]
    if throttled:
        context.headers[THROTTLE_HEADER] = "true"
    return rows  # type: ignore[no-any-return]


def _compute_rows(
    context: Context, query: ReportQuery, advertiser: Advertiser, hour: int
) -> tuple[list[Row], bool]:
    members = members_of(query, advertiser, hour)
    most = context.switches.max_report_ads
    throttled = query.level.name == "AUCTION_AD" and len(members) > most
    if throttled:  # only the newest ads are looked at (dossier 6.3)
        members = sorted(members, key=lambda one: int(one.owner.id), reverse=True)[:most]
    rows = [row for member in members for row in rows_of(context, query, member, hour)]
    for one in query.filters:
        if one.on_metric:
            write = metric_formatter(one.attribute, advertiser).write
            rows = [row for row in rows if one.test(write(row))]
        elif one.on_label:
            rows = [row for row in rows if one.test(row.labels[one.attribute])]
    rows.sort(
        key=lambda row: (int(row.owner.id) * SCATTER_FACTOR % (1 << 64), row.when or "", *row.labels.values())
    )
    if query.order_field and not context.switches.tiktok_sandbox:  # ignored there (dossier 6.8)
        write = metric_formatter(query.order_field, advertiser).write
        rows.sort(key=lambda row: sort_value(write(row)), reverse=query.descending)
    return rows, throttled
