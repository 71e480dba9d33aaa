"""Answers report/integrated/get: rows, their order, their text, their pages (dossier 6)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tiktok_assets.sandbox.columns import IMPRESSIONS, REACH
from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.delivery import Vector
from tiktok_assets.sandbox.facts import add, add_days
from tiktok_assets.sandbox.levels import Owner
from tiktok_assets.sandbox.metrics import ABSENT, ACCOUNT_ONLY, NUMERIC, is_numeric, renderer
from tiktok_assets.sandbox.paging import cut
from tiktok_assets.sandbox.report_query import ReportQuery, parse
from tiktok_assets.sandbox.status import secondary
from tiktok_assets.sandbox.world import Ad, AdGroup, Advertiser, Campaign, utc_text

THROTTLE_HEADER = "X-Tt-Ads-Throttle"  # dossier 3.1, 6.3
SCATTER = 0x9E3779B97F4A7C15  # rows come in no useful order unless asked for (dossier 6.1)
NONE = add(())
RESULTS = frozenset(name for name in NUMERIC if "result" in name)


@dataclass(frozen=True)
class Row:
    """One row before it is written: whose, when (None without a time dimension) and how much."""

    owner: Owner
    attributes: dict[str, str]
    when: str | None
    vector: Vector


def report(context: Context) -> dict[str, Any]:
    """Answer one page of a BASIC report."""
    query = parse(context.params)
    advertiser = context.advertiser(query.advertiser_id)
    rows = _rows(context, query, advertiser)
    page, info = cut(rows, query.page, query.page_size, context.trick)
    writers = [_writer(name, advertiser) for name in query.metrics]
    data: dict[str, Any] = {
        "list": [
            {
                "dimensions": _dimensions(query, row),
                "metrics": _written(row, writers),
            }
            for row in page
        ],
        "page_info": info,
    }
    if query.totals and query.page == 1:  # dossier 6.1; attributes read "-" (6.5)
        total = Row(advertiser, {}, None, add(row.vector for row in rows))
        data["total_metrics"] = _written(total, writers)
    return data


def _dimensions(query: ReportQuery, row: Row) -> dict[str, str]:
    return {
        name: row.when or ABSENT if name == query.time_dimension else row.owner.id for name in query.dimensions
    }


@dataclass(frozen=True)
class Writer:
    """Writes one metric: from the row's figures alone where that is enough, which is faster."""

    name: str
    render: Callable[[Vector], str] | None
    write: Callable[[Row], str]


def _written(row: Row, writers: list[Writer]) -> dict[str, str]:
    vector = row.vector
    return {one.name: one.render(vector) if one.render else one.write(row) for one in writers}


def _writer(name: str, advertiser: Advertiser) -> Writer:
    if not is_numeric(name):
        return Writer(name, None, lambda row: row.attributes.get(name, ABSENT))
    render = renderer(name, advertiser.currency.decimals)
    metric = NUMERIC.get(name)
    late = name in ACCOUNT_ONLY or (metric is not None and metric.unique_users)
    if late:  # 16 hours late, "-" until then (dossier 7, 6.5)
        return Writer(
            name,
            lambda vector: ABSENT if _waiting(vector) else render(vector),
            lambda row: ABSENT if _waiting(row.vector) else render(row.vector),
        )
    if name in RESULTS:  # unique users too where the goal is reach (dossier 7)
        return Writer(
            name,
            None,
            lambda row: ABSENT if _waiting(row.vector) and _counts_reach(row.owner) else render(row.vector),
        )
    return Writer(name, render, lambda row: render(row.vector))


def _waiting(vector: Vector) -> bool:
    return vector[REACH] == 0 and vector[IMPRESSIONS] > 0


def _counts_reach(owner: Owner) -> bool:
    if isinstance(owner, Campaign):
        return owner.objective.goal == "REACH"
    return isinstance(owner, Ad | AdGroup) and owner.campaign.objective.goal == "REACH"


def _rows(context: Context, query: ReportQuery, advertiser: Advertiser) -> list[Row]:
    hour = context.facts.at(context.now)
    key = (
        "report",
        advertiser.id,
        query.level.name,
        query.time_dimension,
        query.first,
        query.last,
        tuple(one.identity for one in query.filters),
        query.order_field,
        query.descending,
        hour,
        context.world.version,
        context.switches.max_report_ads,
        context.switches.zero_rows,
    )
    if key not in context.cache.kept:
        context.cache.keep(key, _work_out(context, query, advertiser, hour))
    rows, throttled = context.cache.kept[key]
    if throttled:
        context.headers[THROTTLE_HEADER] = "true"
    return rows  # type: ignore[no-any-return]


def _work_out(context: Context, query: ReportQuery, advertiser: Advertiser, hour: int) -> tuple[list[Row], bool]:
    owners = _owners(query, advertiser, hour)
    most = context.switches.max_report_ads
    throttled = query.level.name == "AUCTION_AD" and len(owners) > most
    if throttled:  # only the newest ads are looked at (dossier 6.3)
        owners = sorted(owners, key=lambda pair: int(pair[0].id), reverse=True)[:most]
    rows = [row for owner, attributes in owners for row in _of_owner(context, query, owner, attributes, hour)]
    for one in query.filters:
        if one.on_metric:
            write = _writer(one.attribute, advertiser).write
            rows = [row for row in rows if one.test(write(row))]
    rows.sort(key=lambda row: (int(row.owner.id) * SCATTER % (1 << 64), row.when or ""))
    if query.order_field:
        write = _writer(query.order_field, advertiser).write
        rows.sort(key=lambda row: _sortable(write(row)), reverse=query.descending)
    return rows, throttled


def _sortable(text: str) -> Decimal:
    return Decimal(-1) if text == ABSENT else Decimal(text)


def _owners(query: ReportQuery, advertiser: Advertiser, hour: int) -> list[tuple[Owner, dict[str, str]]]:
    found = []
    for owner in query.level.members(advertiser):
        attributes = query.level.attributes(owner)
        if not isinstance(owner, Advertiser):
            if not owner.exists(hour):
                continue
            attributes |= {
                "secondary_status": secondary(owner, hour),
                "create_time": utc_text(owner.created),
                "buying_type": "AUCTION",
            }
        if all(one.test(attributes[one.attribute]) for one in query.filters if not one.on_metric):
            found.append((owner, attributes))
    return found


def _of_owner(
    context: Context, query: ReportQuery, owner: Owner, attributes: dict[str, str], hour: int
) -> Iterator[Row]:
    ads = query.level.ads(owner)
    if query.time_dimension == "stat_time_hour":
        yield from (Row(owner, attributes, *pair) for pair in _hourly(context, query, ads, hour))
        return
    daily = _daily(context, query, ads, hour)
    if query.time_dimension == "stat_time_day":  # days without data have no row (dossier 6.5)
        yield from (Row(owner, attributes, *pair) for pair in daily)
        return
    vectors = [vector for _, vector in daily]
    if vectors or context.switches.zero_rows:  # without a time dimension they read 0 (dossier 6.5)
        yield Row(owner, attributes, None, add_days(vectors) if vectors else NONE)


def _daily(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[str, Vector]]:
    spans = [(ad, _span(query, context.facts.days_of(ad, hour))) for ad in ads]
    days = sorted({ordinal for _, span in spans for ordinal in span})
    for ordinal in days:
        known = [context.facts.day(ad, ordinal, hour) for ad, span in spans if ordinal in span]
        vectors = [vector for vector in known if vector is not None]
        if vectors:
            yield f"{date.fromordinal(ordinal).isoformat()} 00:00:00", add(vectors)


def _span(query: ReportQuery, days: range) -> range:
    if query.first is None or query.last is None:
        return days
    return range(max(days.start, query.first.toordinal()), min(days.stop, query.last.toordinal() + 1))


def _hourly(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[str, Vector]]:
    assert query.first is not None  # noqa: S101  # a lifetime report has no time dimension
    by_label: dict[int, list[Vector]] = {}
    for ad in ads:
        for label, vector in context.facts.hours(ad, query.first.toordinal(), hour):
            by_label.setdefault(label, []).append(vector)
    for label, vectors in sorted(by_label.items()):
        yield f"{query.first.isoformat()} {label:02d}:00:00", add(vectors)
