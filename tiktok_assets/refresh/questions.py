"""Entities and reports in the API's own words: parameters, the key of a row, and rows as frames."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import polars as pl

from tiktok_assets.api.client import Parameter, Tally
from tiktok_assets.api.pages import Listing
from tiktok_assets.api.plan import Window
from tiktok_assets.days import ValueFormatError
from tiktok_assets.spec.endpoints import REPORT
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report
from tiktok_assets.tables import KEY_SEPARATOR, entity_frame, plain_report_page, report_page


def entity_listing(
    entity: Entity, advertiser_id: str, filters: Mapping[str, list[str]], now: Callable[[], datetime]
) -> Listing[pl.DataFrame]:
    """The paged question of an entity: every object, deleted ones included, narrowed by the filters."""

    def parse(rows: list[dict[str, Any]], tally: Tally) -> pl.DataFrame:
        return entity_frame(entity, rows, now(), unknown_fields=tally.unknown_fields)

    return Listing(
        entity.endpoint,
        # Deleted ones are hidden unless asked for, and TikTok deletes old ads by itself.
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters}},
        identify=lambda row: str(row[entity.key]),
        parse=parse,
    )


def report_listing(
    report: Report,
    advertiser_id: str,
    window: Window | None,
    *,
    metrics: tuple[Metric, ...],
    asked: Sequence[Metric],
    filters: Mapping[str, list[str]],
) -> Listing[pl.DataFrame]:
    """The paged question of a report.

    Args:
        report: which.
        advertiser_id: whose.
        window: its days; None for a lifetime report.
        metrics: those chosen; its frames have columns for those it is served.
        asked: those of them that are asked for; the columns of the others are null.
        filters: narrows by the API's filter names, such as `adgroup_ids`.
    """
    level = report.level
    dimensions = list(report.dimensions)
    names = [metric.api_name for metric in asked]
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        "report_type": report.report_type,
        "data_level": level.data_level,
        "dimensions": dimensions,
        # Parents and names are metrics here; as dimensions they fail (dossier 6.2).
        "metrics": [*level.attributes, *names],
        # Pages of an unsorted report may repeat and miss rows; spend is never an attribute, so it may order.
        "order_field": "spend" if "spend" in names else names[0],
        "order_type": "DESC",
    }
    if window:
        parameters["start_date"] = window.first.isoformat()
        parameters["end_date"] = window.last.isoformat()
    else:
        parameters["query_lifetime"] = "true"
    # Without the status filter the deleted are left out, and their spend with them (dossier 6.4).
    status = {level.status_field: ["STATUS_ALL"]} if level.status_field else {}
    if wanted := {**status, **filters}:
        parameters["filtering"] = [
            # A filter's value is always text, a list among them: JSON inside JSON.
            {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(values)}
            for name, values in wanted.items()
        ]

    # Interests know no days: their question is one day, and says so of its rows.
    only_day = window.first if window and not report.time_dimension else None
    expected = frozenset(names)
    values_of = itemgetter(*dimensions)

    def identify(row: dict[str, Any]) -> Hashable:
        values = values_of(row["dimensions"])
        plain = isinstance(values, tuple) and all(isinstance(value, str) for value in values)
        return KEY_SEPARATOR.join(values) if plain else values  # as `plain_report_page` has it

    def parse(rows: list[dict[str, Any]], tally: Tally) -> pl.DataFrame:
        page = report_page(report, metrics, rows, unknown_fields=tally.unknown_fields, day=only_day)
        for row in rows:  # what is not there would read as null, which means something else
            if not row["metrics"].keys() >= expected:
                missing = sorted(expected - row["metrics"].keys())
                raise ValueFormatError(f"{missing[0]} was asked for and did not come")
        return page

    return Listing(
        REPORT,
        parameters,
        identify=identify,
        parse=parse,
        parse_text=lambda rows: plain_report_page(report, metrics, names, rows, day=only_day),
    )
