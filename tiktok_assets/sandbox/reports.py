"""Answers report/integrated/get: rows, their order, their pages (dossier 6)."""

from random import Random
from typing import Any

from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.facts import add
from tiktok_assets.sandbox.metrics import ABSENT
from tiktok_assets.sandbox.paging import cut
from tiktok_assets.sandbox.report_query import ReportQuery, parse
from tiktok_assets.sandbox.report_rows import Row, members_of, rows_of
from tiktok_assets.sandbox.report_text import sortable, writer, written
from tiktok_assets.sandbox.world import Advertiser

THROTTLE_HEADER = "X-Tt-Ads-Throttle"  # dossier 3.1, 6.3
SCATTER = 0x9E3779B97F4A7C15  # rows come in no useful order unless asked for (dossier 6.1)


def report(context: Context) -> dict[str, Any]:
    """Answer one page of a BASIC or AUDIENCE report."""
    switches = context.switches
    query = parse(
        context.params,
        old_lifetime=switches.old_lifetime,
        withdrawn=switches.withdrawn_metrics,
        named=switches.withdrawn_metrics_named,
    )
    advertiser = context.advertiser(query.advertiser_id)
    rows = _rows(context, query, advertiser)
    if context.hidden:
        rows = [row for row in rows if row.owner.id not in context.hidden]
    if context.trick.shuffle is not None:
        rows = _shuffled(rows, query, advertiser, context.trick.shuffle)
    page, info = cut(rows, query.page, query.page_size, context.trick)
    writers = [writer(name, advertiser) for name in query.metrics]
    data: dict[str, Any] = {
        "list": [{"dimensions": _dimensions(query, row), "metrics": written(row, writers)} for row in page],
        "page_info": info,
    }
    # Totals: dossier 6.1, not in TikTok's own sandbox; attributes read "-" (6.5).
    if query.totals and query.page == 1 and not context.switches.tiktok_sandbox:
        total = Row(advertiser, {}, None, add(row.vector for row in rows))
        data["total_metrics"] = written(total, writers)
    return data


def _shuffled(rows: list[Row], query: ReportQuery, advertiser: Advertiser, seed: int) -> list[Row]:
    """Return the rows with those of equal rank in another order; without an order field all rank equal."""
    shuffled = Random(seed).sample(rows, len(rows))
    if query.order_field:
        write = writer(query.order_field, advertiser).write
        shuffled.sort(key=lambda row: sortable(write(row)), reverse=query.descending)
    return shuffled


def _dimensions(query: ReportQuery, row: Row) -> dict[str, str]:
    found = {}
    for name in query.dimensions:
        if name == query.time_dimension:
            found[name] = row.when or ABSENT
        elif name in row.labels:
            found[name] = row.labels[name]
            if name == "interest_category":  # it adds its second version (dossier 6.2)
                found["interest_category_v2"] = row.labels[name]
        else:
            found[name] = row.attributes["ad_id_v2"] if name == "ad_id_v2" else row.owner.id
    return found


def _rows(context: Context, query: ReportQuery, advertiser: Advertiser) -> list[Row]:
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
        context.cache.keep(key, _work_out(context, query, advertiser, hour))
    rows, throttled = context.cache.kept[key]
    if throttled:
        context.headers[THROTTLE_HEADER] = "true"
    return rows  # type: ignore[no-any-return]


def _work_out(context: Context, query: ReportQuery, advertiser: Advertiser, hour: int) -> tuple[list[Row], bool]:
    members = members_of(query, advertiser, hour)
    most = context.switches.max_report_ads
    throttled = query.level.name == "AUCTION_AD" and len(members) > most
    if throttled:  # only the newest ads are looked at (dossier 6.3)
        members = sorted(members, key=lambda one: int(one.owner.id), reverse=True)[:most]
    rows = [row for member in members for row in rows_of(context, query, member, hour)]
    for one in query.filters:
        if one.on_metric:
            write = writer(one.attribute, advertiser).write
            rows = [row for row in rows if one.test(write(row))]
        elif one.on_label:
            rows = [row for row in rows if one.test(row.labels[one.attribute])]
    rows.sort(key=lambda row: (int(row.owner.id) * SCATTER % (1 << 64), row.when or "", *row.labels.values()))
    if query.order_field and not context.switches.tiktok_sandbox:  # ignored there (dossier 6.8)
        write = writer(query.order_field, advertiser).write
        rows.sort(key=lambda row: sortable(write(row)), reverse=query.descending)
    return rows, throttled
