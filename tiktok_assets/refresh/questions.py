"""Entities and reports in the API's own words: parameters, the key of a row, and rows as frames."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import Parameter, Tally
from tiktok_assets.api.pages import Listing
from tiktok_assets.api.plan import Window
from tiktok_assets.days import ValueFormatError
from tiktok_assets.spec.endpoints import MAX_PAGE_SIZE, REPORT
from tiktok_assets.spec.entities import Entity, HiddenKind
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report
from tiktok_assets.tables import KEY_SEPARATOR, entity_frame, plain_report_page, report_page
from tiktok_assets.values import cell_of, json_text


def entity_listing(
    entity: Entity,
    advertiser_id: str,
    filters: Mapping[str, list[str]],
    now: Callable[[], datetime],
    kind: HiddenKind | None = None,
) -> Listing[pl.DataFrame]:
    """Return the paged question of an entity: every object, deleted ones included, narrowed by the filters.

    Args:
        entity: whose objects.
        advertiser_id: of which account.
        filters: narrows by the API's filter names.
        now: the host's clock.
        kind: the hidden kind that is asked for; None for all that TikTok shows unasked.
    """
    asked_for = {kind.filter_name: [kind.filter_value]} if kind else {}

    def parse(rows: list[Any], tally: Tally) -> pl.DataFrame:
        owners = [advertiser_id] * len(rows)
        return entity_frame(entity, rows, now(), unknown_fields=tally.unknown_fields, owners=owners)

    (key,) = (column for column in entity.columns if column.api_name == entity.key)

    def identify(row: Any) -> Hashable:  # noqa: ANN401 - whatever a list held
        found, _ = cell_of(key, row.get(key.api_name)) if isinstance(row, dict) else (None, False)
        if found is None:
            raise ValueFormatError(f"a row has no {key.api_name}")
        return str(found)

    return Listing(
        entity.endpoint,
        # Deleted ones are hidden unless asked for, and TikTok deletes old ads by itself.
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters, **asked_for}},
        identify=identify,
        parse=parse,
        page_size=kind.page_size if kind else MAX_PAGE_SIZE,
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

    # Interests know no days, and a row of another report may not say its own: a question of one day says it.
    only_day = window.first if window and window.first == window.last else None

    def identify(row: Any) -> Hashable:  # noqa: ANN401 - whatever a list held
        said = row.get("dimensions") if isinstance(row, dict) else None
        values = [said.get(name) for name in dimensions] if isinstance(said, dict) else []
        texts = [value for value in values if isinstance(value, str)]
        # As `plain_report_page` has it; a row whose key is no text is itself what tells it apart.
        return KEY_SEPARATOR.join(texts) if len(texts) == len(dimensions) else json_text(row)

    def parse(rows: list[Any], tally: Tally) -> pl.DataFrame:
        return report_page(
            report,
            metrics,
            rows,
            unknown_fields=tally.unknown_fields,
            asked=names,
            owner=advertiser_id,
            day=only_day,
        )

    return Listing(
        REPORT,
        parameters,
        identify=identify,
        parse=parse,
        parse_text=lambda rows: plain_report_page(report, metrics, names, rows, owner=advertiser_id, day=only_day),
    )
