"""Collects the rows of a report: whose, when, of which part of the audience, and how much (dossier 6.5)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from tiktok_assets.sandbox.breakdowns import BREAKDOWNS, split
from tiktok_assets.sandbox.context import Context
from tiktok_assets.sandbox.days import local_day
from tiktok_assets.sandbox.delivery import Vector
from tiktok_assets.sandbox.facts import add, add_days
from tiktok_assets.sandbox.hidden_campaigns import facets_of, is_shown
from tiktok_assets.sandbox.levels import Owner
from tiktok_assets.sandbox.report_query import ReportQuery
from tiktok_assets.sandbox.status import secondary
from tiktok_assets.sandbox.world import Ad, Advertiser, utc_text

NONE = add(())
Cell = tuple[str | None, tuple[str, ...]]  # when, and which part
SMART = "UPGRADED_SMART_PLUS"


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
                "secondary_status": secondary(owner, hour),
                "create_time": utc_text(owner.created),
                **facets_of(owner),
            }
        filters = (one for one in query.filters if not one.on_metric and not one.on_label)
        if all(one.test(attributes[one.attribute]) for one in filters):
            found.append(Member(owner, attributes, _ads(query, owner)))
    return _by_ad(found) if "ad_id_v2" in query.dimensions else found


def _ads(query: ReportQuery, owner: Owner) -> list[Ad]:
    """Return the ads whose facts an owner's rows add up; of an account, those that reports show by default."""
    ads = query.level.ads(owner)
    return [ad for ad in ads if is_shown(ad.campaign)] if isinstance(owner, Advertiser) else ads


def _by_ad(creatives: list[Member]) -> list[Member]:
    """Return one member for each `ad_id_v2`: the creatives of an Upgraded Smart+ ad together (dossier 5.7)."""
    together: dict[str, Member] = {}
    for one in creatives:
        key = one.attributes["ad_id_v2"]
        if key in together:
            together[key].ads.extend(one.ads)
            continue
        attributes = dict(one.attributes)
        if attributes["campaign_automation_type"].startswith(SMART):
            name, _, _ = attributes["ad_name"].partition(" | ")
            attributes |= {"campaign_automation_type": SMART, "ad_name": name}
        together[key] = Member(one.owner, attributes, list(one.ads))
    return list(together.values())


def rows_of(context: Context, query: ReportQuery, member: Member, hour: int) -> Iterator[Row]:
    """Yield the rows of one member."""
    cells: dict[Cell, list[Vector]] = {}
    if query.time_dimension == "stat_time_hour":
        found = _hourly(context, query, member.ads, hour)
    elif query.breakdowns:
        found = _parts(context, query, member.ads, hour)
    else:
        found = (((when, ()), vector) for when, vector in _daily(context, query, member.ads, hour))
    for cell, vector in found:
        cells.setdefault(cell, []).append(vector)
    for (when, labels), vectors in sorted(cells.items(), key=lambda one: (one[0][0] or "", one[0][1])):
        total = add(vectors) if query.time_dimension else add_days(vectors)
        named = dict(zip(query.breakdowns, labels, strict=True))
        yield Row(member.owner, member.attributes, when, total, named)
    # Days without data have no row; without a time dimension an entity without data reads 0 (dossier 6.5).
    if not cells and not query.time_dimension and not query.breakdowns and context.switches.zero_rows:
        yield Row(member.owner, member.attributes, None, NONE)


def _daily(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[str | None, Vector]]:
    spans = [(ad, _span(query, context.facts.days_of(ad, hour))) for ad in ads]
    days = sorted({ordinal for _, span in spans for ordinal in span})
    for ordinal in days:
        known = [context.facts.day(ad, ordinal, hour) for ad, span in spans if ordinal in span]
        vectors = [vector for vector in known if vector is not None]
        if vectors:
            yield _day_text(ordinal) if query.time_dimension else None, add(vectors)


def _parts(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    prompt = all(BREAKDOWNS[name].prompt for name in query.breakdowns)
    for ad in ads:
        for ordinal in _span(query, context.facts.days_of(ad, hour)):
            if not prompt and hour < local_day(ad.campaign.advertiser.zone, ordinal).uv_at:
                continue  # audience data are 16 hours late (dossier 7)
            vector = context.facts.day(ad, ordinal, hour)
            if vector is not None:
                when = _day_text(ordinal) if query.time_dimension else None
                yield from (((when, labels), part) for labels, part in split(vector, ad, query.breakdowns))


def _hourly(context: Context, query: ReportQuery, ads: list[Ad], hour: int) -> Iterator[tuple[Cell, Vector]]:
    assert query.first is not None  # noqa: S101  # a lifetime report has no time dimension
    for ad in ads:
        for label, vector in context.facts.hours(ad, query.first.toordinal(), hour):
            yield (f"{query.first.isoformat()} {label:02d}:00:00", ()), vector


def _day_text(ordinal: int) -> str:
    return f"{date.fromordinal(ordinal).isoformat()} 00:00:00"


def _span(query: ReportQuery, days: range) -> range:
    if query.first is None or query.last is None:
        return days
    return range(max(days.start, query.first.toordinal()), min(days.stop, query.last.toordinal() + 1))
