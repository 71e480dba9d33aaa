"""Answer /smart_plus/material_report/overview/ and breakdown/: rows by material of Upgraded Smart+ ads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from itertools import product

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.params import cut_page
from tiktok_assets.sandbox.reads.material_query import ATTRIBUTES, MaterialQuery, parse_material_query
from tiktok_assets.sandbox.reads.report_rows import NO_DELIVERY
from tiktok_assets.sandbox.world.ad_delivery import Vector
from tiktok_assets.sandbox.world.api_objects import stable_id
from tiktok_assets.sandbox.world.facts import sum_over_ads
from tiktok_assets.sandbox.world.materials import (
    MAIN_MATERIAL,
    Element,
    elements_of,
    main_material,
    split_by_elements,
)
from tiktok_assets.sandbox.world.metrics import formatter_for
from tiktok_assets.sandbox.world.model import Ad, Advertiser, SmartPlusAd
from tiktok_assets.sandbox.world.smart_plus_objects import ad_material_id
from tiktok_assets.sandbox.world.status import operation_status, secondary_status

Cell = tuple[str, str, tuple[Element, ...]]  # advertising id (or ""), time (or "") and elements of a row
ADVERTISING_IDS: dict[str, Callable[[SmartPlusAd], str]] = {
    "advertiser_id": lambda owner: owner.campaign.advertiser.id,
    "campaign_id": lambda owner: owner.campaign.id,
    "adgroup_id": lambda owner: owner.ad_group.id,
    "smart_plus_ad_id": lambda owner: owner.id,
}
FILTERED_BY = {
    "campaign_ids": "campaign_id",
    "adgroup_ids": "adgroup_id",
    "smart_plus_ad_ids": "smart_plus_ad_id",
}


@dataclass(frozen=True)
class Creative:
    """A creative that a query includes.

    Attributes:
        group: The id of its advertising dimension; empty without one.
        dimensions: The dimensions of `elements`: those of the query, then those it only filters by.
        elements: Its elements in each dimension.
    """

    ad: Ad
    owner: SmartPlusAd
    group: str
    dimensions: tuple[str, ...]
    elements: list[list[Element]]

    def cells(self, query: MaterialQuery) -> set[Cell]:
        """Return the cells of a query without time to which the creative belongs."""
        return {
            (self.group, "", chosen[: len(query.elements)])
            for chosen in product(*self.elements)
            if _passes(query, self.dimensions, chosen)
        }


def material_report(context: Context, *, is_overview: bool) -> ResponseData:
    """Answer one page of a report."""
    query = parse_material_query(context.params, is_overview=is_overview)
    advertiser = context.advertiser(query.advertiser_id)
    creatives = list(_creatives(context, query, advertiser))
    decimals = advertiser.currency.decimals
    sort_text = formatter_for(query.sort_field, decimals)
    rows = _rows(context, query, creatives)
    rows.sort(key=lambda row: (row[0][0], row[0][1], tuple(one.id for one in row[0][2])))
    rows.sort(key=lambda row: Decimal(sort_text(row[1])), reverse=query.descending)
    page, info = cut_page(rows, query.page, query.page_size, context.page_fault)
    listed = [
        {
            "dimensions": _dimensions(query, row[0]),
            "metrics": _metrics(context, query, row, decimals, creatives),
        }
        for row in page
    ]
    return {"list": listed, "page_info": info}


def _rows(context: Context, query: MaterialQuery, creatives: list[Creative]) -> list[tuple[Cell, Vector]]:
    """Return the rows of a query: the sums of their parts of the delivery of all creatives."""
    cells: dict[Cell, list[Vector]] = {}
    for creative in creatives:
        for time, vector in _deliveries(context, query, creative.ad):
            for chosen, part in split_by_elements(vector, creative.ad, creative.elements):
                if _passes(query, creative.dimensions, chosen):
                    cells.setdefault((creative.group, time, chosen[: len(query.elements)]), []).append(part)
        # A material without delivery has a row of zeros, as in the example of the page on overviews.
        if not query.time and context.switches.zero_rows:
            for cell in creative.cells(query):
                cells.setdefault(cell, [NO_DELIVERY])
    return [(cell, sum_over_ads(vectors)) for cell, vectors in cells.items()]


def _passes(query: MaterialQuery, dimensions: tuple[str, ...], chosen: tuple[Element, ...]) -> bool:
    """Return whether elements pass the filters by their ids."""
    return all(
        one.id in query.element_ids[dimension]
        for dimension, one in zip(dimensions, chosen, strict=True)
        if dimension in query.element_ids
    )


def _creatives(context: Context, query: MaterialQuery, advertiser: Advertiser) -> Iterator[Creative]:
    """Yield the creatives that a query includes, with their elements in all its dimensions and filters."""
    dimensions = tuple(dict.fromkeys((*query.elements, *query.element_ids)))
    for ad in advertiser.ads:
        owner = ad.smart_plus_ad
        if owner is None or not ad.exists(context.now) or {ad.id, owner.id} & context.hidden_ids:
            continue
        is_deleted = secondary_status(owner, context.now).endswith("_DELETE")
        if is_deleted and not context.switches.materials_of_deleted_ads:
            continue
        if query.ids and ADVERTISING_IDS[FILTERED_BY[query.ids[0]]](owner) not in query.ids[1]:
            continue
        if query.types is not None and main_material(ad, context.now).type not in query.types:
            continue
        group = ADVERTISING_IDS[query.advertising](owner) if query.advertising else ""
        elements = [elements_of(ad, owner, dimension, context.now) for dimension in dimensions]
        yield Creative(ad, owner, group, dimensions, elements)


def _deliveries(context: Context, query: MaterialQuery, ad: Ad) -> Iterator[tuple[str, Vector]]:
    """Yield (text of the time dimension or "", delivery) of a creative within the window."""
    for ordinal in context.facts.possible_days(ad, context.now):
        day = date.fromordinal(ordinal)
        if query.first and query.last and not query.first <= day <= query.last:
            continue
        if query.time == "stat_time_hour":
            for hour, part in context.facts.hours(ad, ordinal, context.now):
                yield f"{day.isoformat()} {hour:02d}:00:00", part
        elif (vector := context.facts.day(ad, ordinal, context.now)) is not None:
            yield _time_text(query.time, day), vector


def _time_text(time: str | None, day: date) -> str:
    """Return the text of a day in a time dimension; that of a week or month is its first day, our choice."""
    if time is None:
        return ""
    first = {
        "stat_time_day": day,
        "stat_time_week": day - timedelta(days=day.weekday()),
        "stat_time_month": day.replace(day=1),
    }[time]
    return f"{first.isoformat()} 00:00:00"


def _dimensions(query: MaterialQuery, cell: Cell) -> dict[str, str]:
    group, time, chosen = cell
    shown = {query.advertising: group} if query.advertising else {}
    shown |= {query.time: time} if query.time else {}
    for dimension, one in zip(query.elements, chosen, strict=True):
        shown |= {dimension: one.id, f"{dimension.removesuffix('_id')}_type": one.type}
    return shown


def _metrics(
    context: Context, query: MaterialQuery, row: tuple[Cell, Vector], decimals: int, creatives: list[Creative]
) -> ResponseData:
    """Return the metrics of a row, with the names of its elements, which are not requested."""
    (_, _, chosen), vector = row
    attributes = _attributes(context, query, row[0], creatives) if ATTRIBUTES & set(query.metrics) else {}
    metrics: ResponseData = {}
    for name in query.metrics:
        if name not in ATTRIBUTES:
            metrics[name] = formatter_for(name, decimals)(vector)
        elif name in attributes:
            metrics[name] = attributes[name]
    for one in chosen:
        metrics |= one.names
    if query.advertising is None:
        metrics["multi_name"] = "_".join(next(iter(one.names.values())) for one in chosen)
    return metrics


def _attributes(context: Context, query: MaterialQuery, cell: Cell, creatives: list[Creative]) -> ResponseData:
    """Return the attributes of a material in its ad; without the ad they are empty, and the list is missing.

    The enumerations of the statuses are on a page that is not available to us; these values are our choice.
    """
    if query.advertising != "smart_plus_ad_id":
        return {"ad_material_id": "", "material_primary_status": "", "operation_status": ""}
    ads = [one.ad for one in creatives if cell in one.cells(query)]
    statuses = [secondary_status(ad, context.now).removeprefix("AD_STATUS_") for ad in ads]
    (element,) = cell[2]
    is_main = query.elements == (MAIN_MATERIAL,)
    ids = [ad_material_id(ad) for ad in ads] if is_main else [stable_id("ad material", cell[0], element.id)]
    return {
        "ad_material_id": ids,
        "material_primary_status": "STATUS_DELIVERY_OK" if "DELIVERY_OK" in statuses else "STATUS_NOT_DELIVERY",
        "material_second_status_list": [f"MATERIAL_STATUS_{one}" for one in dict.fromkeys(statuses)],
        "operation_status": max(operation_status(ad, context.now) for ad in ads),
    }


ENDPOINTS = {
    "smart_plus/material_report/overview": partial(material_report, is_overview=True),
    "smart_plus/material_report/breakdown": partial(material_report, is_overview=False),
}
