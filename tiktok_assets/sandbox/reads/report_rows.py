"""Collect the rows of a report and format their metrics (API notes 6.5, 7)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tiktok_assets.sandbox.http.context import Context
from tiktok_assets.sandbox.reads.breakdowns import BREAKDOWNS, split_delivery
from tiktok_assets.sandbox.reads.data_levels import Owner
from tiktok_assets.sandbox.reads.report_query import ReportQuery
from tiktok_assets.sandbox.world.delivery import IMPRESSIONS, REACH, Vector
from tiktok_assets.sandbox.world.facts import sum_over_ads, sum_over_days
from tiktok_assets.sandbox.world.local_days import local_day
from tiktok_assets.sandbox.world.metrics import ACCOUNT_METRICS, NO_VALUE, NUMERIC, formatter_for, is_numeric
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, format_utc
from tiktok_assets.sandbox.world.status import is_listed_by_default, secondary_status, visibility_of

NO_DELIVERY = sum_over_ads(())
Cell = tuple[str | None, tuple[str, ...]]  # when, and which part
SMART_PLUS = "UPGRADED_SMART_PLUS"


@dataclass(frozen=True)
class Row:
    """One row before it is written; `when` is None without a time dimension."""

    owner: Owner
    attributes: dict[str, str]
    when: str | None
    vector: Vector
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """What has rows of its own: an entity of the level, or the ad that several Smart+ creatives make."""

    owner: Owner
    attributes: dict[str, str]
    ads: list[Ad]


def members_of(query: ReportQuery, advertiser: Advertiser, hour: int) -> list[Member]:
    """Return the entities of the level that exist and pass the filters."""
    found = []
    for owner in query.level.members(advertiser):
        attributes = query.level.attributes(owner)
        if not isinstance(owner, Advertiser):
            if not owner.exists(hour):
                continue
            attributes |= {
                "secondary_status": secondary_status(owner, hour),
                "create_time": format_utc(owner.created),
                **visibility_of(owner),
            }
        filters = (one for one in query.filters if not one.on_metric and not one.on_label)
        if all(one.test(attributes[one.attribute]) for one in filters):
            found.append(Member(owner, attributes, _ads(query, owner)))
    return _merge_creatives(found) if "ad_id_v2" in query.dimensions else found


def _ads(query: ReportQuery, owner: Owner) -> list[Ad]:
    """Return the ads whose facts an owner's rows add up; of an account, those that reports show by default."""
    ads = query.level.ads(owner)
    return [ad for ad in ads if is_listed_by_default(ad.campaign)] if isinstance(owner, Advertiser) else ads


def _merge_creatives(creatives: list[Member]) -> list[Member]:
    """Return one member for each `ad_id_v2`: the creatives of an Upgraded Smart+ ad together (dossier 5.7)."""
    together: dict[str, Member] = {}
    for one in creatives:
        key = one.attributes["ad_id_v2"]
        if key in together:
            together[key].ads.extend(one.ads)
            continue
        attributes = dict(one.attributes)
        if attributes["campaign_automation_type"].startswith(SMART_PLUS):
            name, _, _ = attributes["ad_name"].partition(" | ")
            attributes |= {"campaign_automation_type": SMART_PLUS, "ad_name": name}
        together[key] = Member(one.owner, attributes, list(one.ads))
    return list(together.values())


def rows_of(context: Context, query: ReportQuery, member: Member, hour: int) -> Iterator[Row]:
    """Yield the rows of one member."""
    cells: dict[Cell, list[Vector]] = {}
    if query.time_dimension == "stat_time_hour":
        found = _hourly(context, query, member.ads, hour)
    elif query.breakdowns:
        found = _broken_down(context, query, member.ads, hour)
    else:
        found = (((when, ()), vector) for when, vector in _daily(context, query, member.ads, hour))
    for cell, vector in found:
        cells.setdefault(cell, []).append(vector)
    for (when, labels), vectors in sorted(cells.items(), key=lambda one: (one[0][0] or "", one[0][1])):
        total = sum_over_ads(vectors) if query.time_dimension else sum_over_days(vectors)
        named = dict(zip(query.breakdowns, labels, strict=True))
        yield Row(member.owner, member.attributes, when, total, named)
    # Days without data have no row; without a time dimension an entity without data reads 0 (dossier 6.5).
    if not cells and not query.time_dimension and not query.breakdowns and context.switches.zero_rows:
        yield Row(member.owner, member.attributes, None, NO_DELIVERY)


def _daily(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[str | None, Vector]]:
    spans = [(ad, _days_in_window(query, context.facts.days_of(ad, hour))) for ad in ads]
    days = sorted({ordinal for _, span in spans for ordinal in span})
    for ordinal in days:
        known = [context.facts.day(ad, ordinal, hour) for ad, span in spans if ordinal in span]
        vectors = [vector for vector in known if vector is not None]
        if vectors:
            yield _format_day(ordinal) if query.time_dimension else None, sum_over_ads(vectors)


def _broken_down(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    prompt = all(BREAKDOWNS[name].prompt for name in query.breakdowns)
    for ad in ads:
        for ordinal in _days_in_window(query, context.facts.days_of(ad, hour)):
            if not prompt and hour < local_day(ad.campaign.advertiser.zone, ordinal).uv_at:
                continue  # audience data are 16 hours late (dossier 7)
            vector = context.facts.day(ad, ordinal, hour)
            if vector is not None:
                when = _format_day(ordinal) if query.time_dimension else None
                yield from (
                    ((when, labels), part) for labels, part in split_delivery(vector, ad, query.breakdowns)
                )


def _hourly(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    assert query.first is not None  # noqa: S101  # a lifetime report has no time dimension
    for ad in ads:
        for label, vector in context.facts.hours(ad, query.first.toordinal(), hour):
            yield (f"{query.first.isoformat()} {label:02d}:00:00", ()), vector


def _format_day(ordinal: int) -> str:
    return f"{date.fromordinal(ordinal).isoformat()} 00:00:00"


def _days_in_window(query: ReportQuery, days: range) -> range:
    if query.first is None or query.last is None:
        return days
    return range(max(days.start, query.first.toordinal()), min(days.stop, query.last.toordinal() + 1))


RESULT_METRICS = frozenset(name for name in NUMERIC if "result" in name)


@dataclass(frozen=True)
class MetricFormatter:
    """Writes one metric: from the row's figures alone where that is enough, which is faster."""

    name: str
    render: Callable[[Vector], str] | None
    write: Callable[[Row], str]


def format_metrics(row: Row, writers: list[MetricFormatter]) -> dict[str, str]:
    """Return the metrics of a row, by name."""
    vector = row.vector
    return {one.name: one.render(vector) if one.render else one.write(row) for one in writers}


def metric_formatter(name: str, advertiser: Advertiser) -> MetricFormatter:
    """Return what writes one metric in an account's currency."""
    if not is_numeric(name):
        return MetricFormatter(name, None, lambda row: row.attributes.get(name, NO_VALUE))
    render = formatter_for(name, advertiser.currency.decimals)
    metric = NUMERIC.get(name)
    late = name in ACCOUNT_METRICS or (metric is not None and metric.unique_users)
    if late:  # 16 hours late, "-" until then (dossier 7, 6.5)
        return MetricFormatter(
            name,
            lambda vector: NO_VALUE if _is_reach_pending(vector) else render(vector),
            lambda row: NO_VALUE if _is_reach_pending(row.vector) else render(row.vector),
        )
    if name in RESULT_METRICS:  # unique users too where the goal is reach (dossier 7)
        return MetricFormatter(
            name,
            None,
            lambda row: (
                NO_VALUE if _is_reach_pending(row.vector) and _counts_reach(row.owner) else render(row.vector)
            ),
        )
    return MetricFormatter(name, render, lambda row: render(row.vector))


def _is_reach_pending(vector: Vector) -> bool:
    return vector[REACH] == 0 and vector[IMPRESSIONS] > 0


def _counts_reach(owner: Owner) -> bool:
    if isinstance(owner, Campaign):
        return owner.objective.goal == "REACH"
    return isinstance(owner, Ad | AdGroup) and owner.campaign.objective.goal == "REACH"


def sort_value(text: str) -> Decimal:
    """Return a metric's text as a number; what is not known yet comes last."""
    return Decimal(-1) if text == NO_VALUE else Decimal(text)
