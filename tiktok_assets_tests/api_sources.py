"""Generate `docs/contact.md`: all names that are sent to or read from TikTok, with sources that confirm them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.gmv_max import build_gmv_max_query
from tiktok_assets.ingest.queries import build_entity_query, build_report_query
from tiktok_assets.ingest.task_choice import TaskRange, offers_tasks
from tiktok_assets.ingest.task_reader import build_task_body
from tiktok_assets.spec.creatable_objects import AD_GROUPS_BY_KIND, ADS_BY_KIND
from tiktok_assets.spec.endpoints import (
    ACCESS_TOKEN,
    AD_CREATE,
    AD_GROUP_CREATE,
    AD_GROUP_QUOTA,
    AD_GROUP_STATUS,
    AD_LIST,
    AD_STATUS,
    ADVERTISER_INFO,
    ADVERTISER_LIST,
    GMV_MAX_REPORT,
    GMV_MAX_SHOP_LIST,
    IDENTITIES,
    IMAGES,
    POSTS,
    REPORT,
    REPORT_TASK_CANCEL,
    REPORT_TASK_CHECK,
    REPORT_TASK_CREATE,
    REPORT_TASK_DOWNLOAD,
    SMART_PLUS_AD_CREATE,
    SMART_PLUS_AD_GROUP_CREATE,
    SMART_PLUS_AD_GROUP_LIST,
    SMART_PLUS_AD_GROUP_STATUS,
    SMART_PLUS_AD_LIST,
    SMART_PLUS_AD_STATUS,
    SMART_PLUS_CAMPAIGN_LIST,
    SUGGESTED_COVERS,
    VIDEOS,
    Endpoint,
)
from tiktok_assets.spec.entities import ENTITIES, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE
from tiktok_assets.spec.gmv_max import GMV_MAX_REPORTS, GMV_MAX_SHOPS
from tiktok_assets.spec.media import IMAGE_FILES, VIDEO_FILES
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import DOCUMENTED_METRICS_FILE
from tiktok_assets.spec.reports import REPORTS, report_columns, served_metrics
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.report_row_parser import dimension_names
from tiktok_assets_tests.contracts.contract import Source, StrictStruct, load_contract
from tiktok_assets_tests.full_payloads import build_full_payloads, operation_name
from tiktok_assets_tests.markdown import WRITTEN_BY, table
from tiktok_assets_tests.official_sdk.operations import load_operations

SOURCE_KINDS = {
    "page": "a mirror of the official reference",
    "SDK": "a model or parameter list of TikTok's SDK",
    "recorded": "a response recorded by another connector",
    "probed": "a request sent to TikTok by another project in 2026",
    "client": "a model of another API client",
    "list": "the names in `spec/documented_metrics.txt`",
}

ENVELOPE = ("code", "message", "request_id", "data")
PAGE_INFO = ("data.list", "data.page_info", "data.page_info.total_number")

OTHER_READ_NAMES: Mapping[Endpoint, tuple[str, ...]] = {
    ADVERTISER_LIST: ("data.list", "data.list[].advertiser_id"),
    ACCESS_TOKEN: ("data.access_token", "data.advertiser_ids"),
    AD_GROUP_QUOTA: ("data.used_adgroup_quota", "data.total_adgroup_quota"),
    IDENTITIES: (
        *("data.identity_list", "data.identity_list[].identity_id", "data.identity_list[].available_status"),
        *("data.identity_list[].can_push_video", "data.identity_list[].can_pull_video"),
        *("data.identity_list[].identity_type", "data.identity_list[].is_gpppa"),
        *("data.page_info", "data.page_info.total_page"),
    ),
    POSTS: (
        *("data.video_detail", "data.video_detail.item_id", "data.video_detail.auth_info"),
        *("data.video_detail.auth_info.ad_auth_status", "data.video_detail.auth_info.auth_end_time"),
        "data.video_details",
        *(
            f"data.video_details[].{name}"
            for name in (
                *("item_id", "item_type", "status", "text", "auth_info", "video_info", "carousel_info"),
                *(f"auth_info.{one}" for one in ("ad_auth_status", "auth_start_time", "auth_end_time")),
                *(f"video_info.{one}" for one in ("duration", "bit_rate", "format", "size", "signature")),
                *(f"video_info.{one}" for one in ("width", "height", "poster_url")),
                "carousel_info.image_info",
                *(f"carousel_info.image_info[].{one}" for one in ("image_id", "image_url")),
                *(f"carousel_info.image_info[].{one}" for one in ("image_width", "image_height")),
            )
        ),
    ),
    IMAGES: ("data.list", "data.list[].image_id"),
    SUGGESTED_COVERS: ("data.list", "data.list[].id"),
    AD_GROUP_CREATE: ("data.adgroup_id",),
    AD_CREATE: ("data.ad_ids",),
    VIDEOS: ("data.list", "data.list[].video_id"),
    SMART_PLUS_CAMPAIGN_LIST: (*PAGE_INFO, "data.list[].campaign_id", "data.list[].smart_plus_adgroup_mode"),
    SMART_PLUS_AD_GROUP_LIST: (*PAGE_INFO, "data.list[].adgroup_id", "data.list[].adgroup_name"),
    SMART_PLUS_AD_GROUP_CREATE: ("data.adgroup_id",),
    SMART_PLUS_AD_CREATE: ("data.smart_plus_ad_id",),
    REPORT: ("data.total_metrics",),
    REPORT_TASK_CREATE: ("data.task_id",),
    REPORT_TASK_CHECK: ("data.status", "data.message"),
    REPORT_TASK_DOWNLOAD: ("data.download_url",),
    REPORT_TASK_CANCEL: (),
    AD_GROUP_STATUS: (),
    AD_STATUS: (),
    SMART_PLUS_AD_GROUP_STATUS: ("data.error_list", "data.error_list[].error_message"),
    SMART_PLUS_AD_STATUS: (),
}
"""Names read from responses that are not stored in a table."""

_LISTED = ("advertiser_id", "filtering", "page", "page_size")

OTHER_SENT_NAMES: Mapping[Endpoint, tuple[str, ...]] = {
    ADVERTISER_LIST: ("app_id", "secret"),
    ADVERTISER_INFO: ("advertiser_ids",),
    ACCESS_TOKEN: ("app_id", "secret", "auth_code"),
    AD_GROUP_QUOTA: ("advertiser_id",),
    GMV_MAX_SHOP_LIST: ("advertiser_id",),
    IDENTITIES: ("advertiser_id", "identity_type", "identity_authorized_bc_id", "page", "page_size"),
    POSTS: (
        *("advertiser_id", "identity_type", "identity_id", "identity_authorized_bc_id", "item_id", "item_type"),
        "item_ids",
    ),
    IMAGES: ("advertiser_id", "image_ids"),
    SUGGESTED_COVERS: ("advertiser_id", "video_id", "poster_number"),
    VIDEOS: ("advertiser_id", "video_ids"),
    **{
        endpoint: (*_LISTED, *(f"filtering.{name}" for name in ("primary_status", *ids)))
        for endpoint, ids in {
            SMART_PLUS_CAMPAIGN_LIST: ("campaign_ids",),
            SMART_PLUS_AD_GROUP_LIST: ("campaign_ids", "adgroup_ids"),
            SMART_PLUS_AD_LIST: ("campaign_ids", "adgroup_ids", "smart_plus_ad_ids"),
            AD_LIST: ("adgroup_ids",),
        }.items()
    },
    **{
        one.status: ("advertiser_id", f"{one.key}s", "operation_status")
        for one in (*AD_GROUPS_BY_KIND.values(), *ADS_BY_KIND.values())
    },
    REPORT: (
        *("dimensions=ad_id", "dimensions=ad_id_v2", "dimensions=adgroup_id", "query_lifetime"),
        "enable_total_metrics",
    ),
    **dict.fromkeys((REPORT_TASK_CHECK, REPORT_TASK_DOWNLOAD, REPORT_TASK_CANCEL), ("advertiser_id", "task_id")),
}

UNCONFIRMED: Mapping[tuple[str, str], str] = {}
"""Names that no source confirms, by operation and name, with the consequence if one is wrong."""

ASSUMPTIONS: tuple[tuple[str, str, str], ...] = (
    (
        "advertiser/info",
        "one account that is not granted fails the whole request",
        "both cases are handled: the ids are halved until the account is found, and a missing one is reported",
    ),
    (
        "advertiser/info",
        "a request may have a hundred ids",
        "account details fail with the API's message; stored accounts keep their time zone and currency",
    ),
    (
        "adgroup/get",
        "times without a time zone are UTC",
        "creation and modification times are off by the account's UTC offset; report days are not affected",
    ),
    (
        "report/integrated/get",
        "rows keep their order across pages when sorted by a metric",
        "repeated and missing rows are detected, and the pages are read up to three times; then the query fails",
    ),
    (
        "report/integrated/get",
        "the status filter STATUS_ALL includes deleted objects",
        "spend of deleted ads is missing, and the checks that compare levels warn",
    ),
    (
        "report/integrated/get",
        "the repeated hour at the end of daylight saving time is one row",
        "the hourly report of that day fails with a RepeatedKeyError",
    ),
    (
        "report/integrated/get",
        "reports of the type TT_SHOP include GMV Max campaigns of Ads Manager, not only those of the shop",
        "without the permission for GMV Max, the stated spend that no table holds is too low",
    ),
    (
        "gmv_max/report/get",
        "reports of products and posts include deleted campaigns whose ids are given",
        "`gmv_max_product_report_daily` and `gmv_max_post_report_daily` lack their rows",
    ),
    (
        "gmv_max/store/list",
        "an account runs GMV Max only for available shops that no other account is authorized for",
        "the reports of a shop that was given to another account are not read again; stored days stay",
    ),
    (
        "report/integrated/get",
        "conversions are added for at most 28 days",
        "older days are wrong until a backfill; `report_restatements` shows how late changes arrive",
    ),
    (
        "report/task/create",
        "the file of a task has deleted objects too, ends with a line end, and has the totals of the pages",
        "the days are read in pages, and a line of the log says so; TIKTOK_REPORT_TASKS is `never` by default",
    ),
    (
        "report/task/create",
        "a task takes about a minute",
        "`plan` may choose the slower way; after 15 minutes a task is canceled, and its days are read in pages",
    ),
    (
        "report/task/download",
        "the file is on a host of tiktok.com or of TikTok's content network",
        "it is not downloaded, and the days are read in pages",
    ),
    (
        "adgroup/quota",
        "the quota counts active ad groups",
        "TikTok disables an ad group above the quota; a copy is disabled anyway",
    ),
    (
        "adgroup/create",
        "a repeated request_id is rejected within ten seconds only",
        "the marker in the name finds what a lost request created, as for ads, which have no request_id",
    ),
    (
        "ad/create",
        "TikTok keeps the marker at the end of a name",
        "after a lost response the copy is not found and is created again, disabled, with the same name",
    ),
    (
        "ad/create",
        "an object is visible 90 seconds after the timeout of its request",
        "as above",
    ),
    (
        "ad/create",
        "the post of a pushed ad can be shown again by its identity",
        "the ad is rejected after its ad group was created, which stays empty and disabled; the reason is stored",
    ),
    (
        "identity/video/info",
        "the post of a pushed ad belongs to its identity; for any other post the request fails or returns nothing",
        "the video is posted again, visible in ads only; without a video the copy is refused",
    ),
    (
        "file/video/suggestcover",
        "a video is available to the account whose ad shows it",
        "the copy is refused before anything is created, with the reason",
    ),
)
"""Behaviour that no source confirms: operation, assumption, and the consequence if it is wrong."""

_SDK_ONLY = "only in the SDK"


class Witness(StrictStruct, frozen=True):
    """The names that one external source confirms, by operation; values of lists are written as `name=value`.

    `calls` lists operations that the source uses, also those of which no names were transcribed.
    """

    source: Source
    read: dict[str, list[str]]
    sent: dict[str, list[str]]
    calls: tuple[str, ...] = ()


@cache
def load_witnesses() -> dict[str, Witness]:
    """Load the transcribed names of the external sources, by the kind of source."""
    path = Path(__file__).parent / "contracts" / "witnesses.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Witness])


def list_sent_names() -> dict[str, set[str]]:
    """Return all parameters and body fields that may be sent, by operation; `metrics=spend` is a list value."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint, names in OTHER_SENT_NAMES.items():
        found[operation_name(endpoint)] |= set(names)
    for entity in LISTED_ENTITIES:
        ranges = entity.creation_ranges
        times = {ranges.start_filter: "1", ranges.end_filter: "1"} if ranges else {}
        filters: dict[str, list[str] | str] = {f"{entity.key}s": ["1"], "campaign_ids": ["1"], **times}
        for kind in (None, *(TOPVIEW_AND_PROMOTE if entity.has_special_types else ())):
            query = build_entity_query(entity, "1", filters, lambda: datetime.now(UTC), kind)
            found[operation_name(entity.endpoint)] |= _collect_names(
                {**query.parameters, "page": "1", "page_size": "1"}
            )
    window = DateWindow(date(2026, 11, 1), date(2026, 11, 1))
    for report in (query for one in REPORTS for query in one.queries):
        some = window if report.cadence == "daily" else None
        query = build_report_query(
            report,
            "1",
            some,
            metrics=METRICS,
            requested=served_metrics(report, METRICS),
            filters={name: ["1"] for name in ("campaign_ids", "adgroup_ids", "smart_plus_ad_ids")},
        )
        operation = operation_name(report.source.endpoint)
        found[operation] |= _collect_names({**query.parameters, "page": "1", "page_size": "1"})
        if offers_tasks(report):
            days = TaskRange(Account("1", "USD", "UTC"), (window,))
            body = build_task_body(report, days, served_metrics(report, METRICS))
            found[operation_name(REPORT_TASK_CREATE)] |= _collect_names(body)
    found[operation_name(GMV_MAX_REPORT)] |= _list_gmv_max_parameters(window)
    for typed in (False, True):  # a value can decide whether a field is sent
        for operation, bodies in build_full_payloads(typed=typed).items():
            found[operation] |= {name for body in bodies for name in _list_body_names(body)}
    return found


def _list_gmv_max_parameters(window: DateWindow) -> set[str]:
    names: set[str] = set()
    filters = {name: ["1"] for name in ("campaign_ids", "item_group_ids")}
    for report in GMV_MAX_REPORTS:
        for kind, some in product(report.promotion_types, ({}, filters)):
            query = build_gmv_max_query(report, "1", window, store_id="1", promotion_type=kind, filters=some)
            names |= _collect_names({**query.parameters, "page": "1", "page_size": "1"})
    return names


def _collect_names(parameters: Mapping[str, Any]) -> set[str]:
    names = set(parameters)
    for name in ("metrics", "dimensions"):
        names |= {f"{name}={value}" for value in parameters.get(name, ())}
    filtering = parameters.get("filtering")
    if isinstance(filtering, dict):
        names |= {f"filtering.{name}" for name in filtering}
    elif filtering:
        names |= {f"filtering[].{name}" for one in filtering for name in one}
    return names


def _list_body_names(body: Mapping[str, Any]) -> set[str]:
    inner = {f"{name}.{key}" for name, value in body.items() if isinstance(value, dict) for key in value}
    return {*body, *inner, *(f"creatives[].{name}" for one in body.get("creatives", ()) for name in one)}


def list_read_names() -> dict[str, set[str]]:
    """Return all fields that are read, by operation, except those that no table has a column for."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint, names in OTHER_READ_NAMES.items():
        found[operation_name(endpoint)] |= {*ENVELOPE, *names}
    for entity in ENTITIES:
        paging = PAGE_INFO if entity in LISTED_ENTITIES else ("data.list",)
        columns = (f"data.list[].{column.api_name}" for column in entity.columns)
        found[operation_name(entity.endpoint)] |= {*ENVELOPE, *paging, *columns}
    for report in (query for one in REPORTS for query in one.queries):
        served = {column.api_name for column in report_columns(report, METRICS) if column.api_name}
        dimensions = {name for name in served if name in dimension_names(report)}
        found[operation_name(report.source.endpoint)] |= {
            *ENVELOPE,
            *PAGE_INFO,
            *(f"data.list[].dimensions.{name}" for name in dimensions),
            *(f"data.list[].metrics.{name}" for name in served - dimensions),
        }
    for media in (VIDEO_FILES, IMAGE_FILES):  # the columns of posts are flattened: see OTHER_READ_NAMES
        named = (f"data.list[].{column.api_name}" for column in media.entity.columns[1:] if column.api_name)
        found[operation_name(media.entity.endpoint)] |= {*ENVELOPE, "data.list", *named}
    shops = (f"data.store_list[].{column.api_name}" for column in GMV_MAX_SHOPS.columns[1:])
    found[operation_name(GMV_MAX_SHOPS.endpoint)] |= {*ENVELOPE, "data.store_list", *shops}
    found[operation_name(GMV_MAX_REPORT)] |= {*ENVELOPE, *PAGE_INFO}
    for gmv_max in GMV_MAX_REPORTS:
        ids = {*gmv_max.ids, "stat_time_day"}
        found[operation_name(GMV_MAX_REPORT)] |= {
            f"data.list[].{'dimensions' if column.api_name in ids else 'metrics'}.{column.api_name}"
            for column in gmv_max.columns
            if column.api_name
        }
    return found


def find_sources(operation: str, name: str, direction: str) -> tuple[str, ...]:
    """Return the kinds of sources that confirm a name that is `sent` or `read`, in the order of `SOURCE_KINDS`."""
    if operation == operation_name(REPORT_TASK_CREATE) and "=" in name:  # its page names the pages of the report
        operation = operation_name(REPORT)
    found = {kind for kind, one in load_witnesses().items() if name in getattr(one, direction).get(operation, ())}
    table_of = (
        load_contract(operation).request.parameters if direction == "sent" else load_contract(operation).response
    )
    plain = name.partition("=")[0]
    general = f"{plain.rpartition('.')[0]}.*"
    if name == plain and (plain in table_of or general in table_of) and plain not in _only_in_sdk(operation):
        found.add("page")
    if name == plain and direction == "sent" and name in list_sdk_parameters(operation):
        found.add("SDK")
    if direction == "read" and ".metrics." in name and operation == operation_name(REPORT):
        requested = f"metrics={name.rpartition('.')[2]}"
        found |= {kind for kind in ("client",) if requested in load_witnesses()[kind].sent.get(operation, ())}
    metric = re.search(r"\bmetrics[=.](\w+)$", name)
    if metric and metric[1] in _list_documented_metrics():
        found.add("list")
    return tuple(kind for kind in SOURCE_KINDS if kind in found)


@cache
def _list_documented_metrics() -> frozenset[str]:
    lines = DOCUMENTED_METRICS_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if not line.startswith("#"))


@cache
def _only_in_sdk(operation: str) -> frozenset[str]:
    """Return the names of a contract that only the SDK has, according to the contract's marks."""
    notes = [mark.note for mark in load_contract(operation).marks if _SDK_ONLY in mark.note]
    listed = (note.partition(_SDK_ONLY)[0].rpartition("(")[0] or note.partition(_SDK_ONLY)[0] for note in notes)
    return frozenset(re.findall(r"[a-z][a-z0-9_]+", " ".join(listed))) - {"are", "is", "and"}


def list_sdk_parameters(operation: str) -> frozenset[str]:
    """Return the parameters of an operation in TikTok's SDK, with the fields of its filter and its body."""
    found = load_operations().get(operation)
    return frozenset(found.list_names() if found else ())


def list_unconfirmed() -> list[tuple[str, str]]:
    """Return operation and name of everything that no source confirms."""
    return sorted(
        {
            (operation, name)
            for direction, names_of in (("sent", list_sent_names()), ("read", list_read_names()))
            for operation, names in names_of.items()
            for name in names
            if not find_sources(operation, name, direction)
        }
    )


INTRODUCTION = """
This project was built without access to a TikTok account. So each operation, each parameter and field that is sent
and each field that is read is confirmed by an external source, or listed under *Unconfirmed*. With your own
account, `tiktok-assets doctor --first-contact` sends each request once and reports what differs.
""".strip()


def render_sources_page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_render_lines()) + "\n"


def _render_lines() -> Iterator[str]:
    yield "# Sources of the API fields"
    yield ""
    yield WRITTEN_BY
    yield ""
    yield INTRODUCTION
    yield ""
    yield "## Sources"
    yield ""
    dated = {kind: f"{one.source.repository}, {one.source.date}" for kind, one in load_witnesses().items()}
    dated |= {"page": "the sources of each contract", "SDK": "the version pinned in `constraints.txt`"}
    dated |= {"list": "the sources at its head"}
    yield from table(
        ("name", "source", "from"), ((kind, what, dated[kind]) for kind, what in SOURCE_KINDS.items())
    )
    yield ""
    yield "## Unconfirmed"
    yield ""
    yield (
        "All names are confirmed; this behaviour is not."
        if not UNCONFIRMED
        else "Unconfirmed names come first, then behaviour."
    )
    yield ""
    names = [
        (operation, f"`{name}`", consequence) for (operation, name), consequence in sorted(UNCONFIRMED.items())
    ]
    yield from table(("operation", "assumption", "consequence if it is wrong"), [*names, *ASSUMPTIONS])
    yield ""
    all_sent, all_read = list_sent_names(), list_read_names()
    for operation in sorted(all_sent.keys() | all_read.keys()):
        yield f"## {operation}"
        yield ""
        rows = [
            (direction, _join_kinds(kinds), ", ".join(f"`{name}`" for name in sorted(names)))
            for direction, names_of in (("sent", all_sent), ("read", all_read))
            for kinds, names in _group_by_sources(operation, names_of.get(operation, set()), direction)
        ]
        yield from table(("", "confirmed by", "names"), rows)
        yield ""


def _group_by_sources(
    operation: str, names: Iterable[str], direction: str
) -> list[tuple[tuple[str, ...], list[str]]]:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[find_sources(operation, name, direction)].append(name)
    return sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))


def _join_kinds(kinds: tuple[str, ...]) -> str:
    return ", ".join(kinds) or "none"


if __name__ == "__main__":
    print(json.dumps(list_unconfirmed(), indent=1))  # noqa: T201 - command-line output
