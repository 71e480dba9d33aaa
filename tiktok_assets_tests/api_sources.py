"""The page `docs/contact.md`: what we send to TikTok and read from it, and which outsider confirms each name."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, get_args

import business_api_client
import msgspec

from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.duplication.ad_formats import CopyMethod
from tiktok_assets.duplication.payloads import (
    READ_ONLY_AD_FIELDS,
    READ_ONLY_AD_GROUP_FIELDS,
    AdGroupPlacement,
    CopiedCreative,
    build_ad_group_payload,
    build_ad_payload,
)
from tiktok_assets.ingest.queries import build_entity_request, build_report_request
from tiktok_assets.spec.endpoints import (
    ACCESS_TOKEN,
    AD_CREATE,
    AD_GROUP_CREATE,
    AD_GROUP_QUOTA,
    ADVERTISER_INFO,
    ADVERTISER_LIST,
    IDENTITIES,
    IMAGES,
    POSTS,
    REPORT,
    SUGGESTED_COVERS,
    Endpoint,
)
from tiktok_assets.spec.entities import AD_GROUPS, ADS, ENTITIES, LISTED_ENTITIES, TOPVIEW_AND_PROMOTE
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.money import DAILY_BUDGET
from tiktok_assets.spec.reports import REPORTS, report_columns
from tiktok_assets.tables.row_validation import dimension_names
from tiktok_assets_tests.contracts.contract import Source, StrictStruct, load_contract
from tiktok_assets_tests.markdown import WRITTEN_BY, table

SOURCE_KINDS = {
    "page": "the official page, in a mirror",
    "SDK": "a model or parameter list of TikTok's own SDK",
    "recorded": "a row another connector recorded",
    "probed": "a request others sent to TikTok in 2026",
    "client": "another client's model",
}

ENVELOPE = ("code", "message", "request_id", "data")
PAGE_INFO = ("data.list", "data.page_info", "data.page_info.total_number")

OTHER_READS: Mapping[Endpoint, tuple[str, ...]] = {
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
    ),
    IMAGES: ("data.list", "data.list[].image_id"),
    SUGGESTED_COVERS: ("data.list", "data.list[].id"),
    AD_GROUP_CREATE: ("data.adgroup_id",),
    AD_CREATE: ("data.ad_ids",),
}
"""What is read of answers that fill no table."""

OTHER_SENT: Mapping[Endpoint, tuple[str, ...]] = {
    ADVERTISER_LIST: ("app_id", "secret"),
    ADVERTISER_INFO: ("advertiser_ids",),
    ACCESS_TOKEN: ("app_id", "secret", "auth_code"),
    AD_GROUP_QUOTA: ("advertiser_id",),
    IDENTITIES: ("advertiser_id", "identity_type", "identity_authorized_bc_id", "page", "page_size"),
    POSTS: (
        *("advertiser_id", "identity_type", "identity_id", "identity_authorized_bc_id", "item_id", "item_type"),
    ),
    IMAGES: ("advertiser_id", "image_ids"),
    SUGGESTED_COVERS: ("advertiser_id", "video_id", "poster_number"),
}

UNCONFIRMED: Mapping[tuple[str, str], str] = {}
"""Names that no outsider confirms, by operation, and what happens should one be wrong."""

RULES: tuple[tuple[str, str, str], ...] = (
    (
        "advertiser/info",
        "one account without grant fails the whole request",
        "both ways are handled: halves are asked for until the account is found, and one left out is reported",
    ),
    (
        "advertiser/info",
        "a hundred ids a request",
        "the accounts' details fail with the API's message; those read before keep their zone and currency",
    ),
    (
        "adgroup/get",
        "times without a zone are UTC",
        "creation and change times are off by the account's offset; no day of a report is concerned",
    ),
    (
        "report/integrated/get",
        "pages keep their order when ordered by a metric",
        "repeated and missing rows are noticed, and the list is read thrice; then it fails, and nothing is stored",
    ),
    (
        "report/integrated/get",
        "the status filter STATUS_ALL lets deleted objects in",
        "spend of deleted ads is missing, and the checks that compare levels warn",
    ),
    (
        "report/integrated/get",
        "the hour that the clock repeats is one row",
        "the hourly report of that day fails and says that a key came twice",
    ),
    (
        "report/integrated/get",
        "conversions are added for 28 days at most",
        "older days are wrong until a backfill; `report_restatements` shows how late your own changes come",
    ),
    (
        "adgroup/quota",
        "the quota counts active ad groups",
        "an ad group too many is made and switched off by TikTok; a copy is switched off anyway",
    ),
    (
        "adgroup/create",
        "a request_id is refused again within ten seconds only",
        "the marker in the name finds what a lost request made, as for ads, which have no such id",
    ),
    (
        "ad/create",
        "TikTok keeps the marker at the end of a name",
        "after a lost answer the copy is not found and made a second time, switched off, with the same name",
    ),
    (
        "ad/create",
        "what a request makes is there 90 seconds after its time-out",
        "as above",
    ),
    (
        "ad/create",
        "the post of a pushed ad can be shown again by its identity",
        "the ad is refused after its ad group was made, which stands empty and switched off; the reason is kept",
    ),
    (
        "identity/video/info",
        "the post of a pushed ad is among its identity's, and one that is not is refused or empty",
        "the video is posted once more, shown through ads only; where there is none, the copy is refused",
    ),
    (
        "file/video/suggestcover",
        "a video is offered to the account whose ad shows it",
        "the copy is refused before anything is made, and the reason says so",
    ),
)
"""Behaviour that no outsider confirms: operation, what is assumed, and what happens should it be wrong."""

_SDK_ONLY = "only in the SDK"


class Witness(StrictStruct, frozen=True):
    """What one outsider confirms, by operation; a list's values stand as `name=value`."""

    source: Source
    read: dict[str, list[str]]
    sent: dict[str, list[str]]


@cache
def load_witnesses() -> dict[str, Witness]:
    """The transcribed witnesses, by the name of their kind."""
    path = Path(__file__).parent / "contracts" / "witnesses.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Witness])


def operation_of(endpoint: Endpoint) -> str:
    """The operation as the contracts name it."""
    return endpoint.path.strip("/")


def list_sent_names() -> dict[str, set[str]]:
    """Every parameter and body field that may be sent, by operation; `metrics=spend` is a value of a list."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint, names in OTHER_SENT.items():
        found[operation_of(endpoint)] |= set(names)
    for entity in LISTED_ENTITIES:
        chosen = {f"{entity.key}s": ["1"], "campaign_ids": ["1"]}
        for kind in (None, *TOPVIEW_AND_PROMOTE):
            listing = build_entity_request(entity, "1", chosen, lambda: datetime.now(UTC), kind)
            found[operation_of(entity.endpoint)] |= _names({**listing.parameters, "page": "1", "page_size": "1"})
    window = DateWindow(date(2026, 11, 1), date(2026, 11, 1))
    for report in REPORTS:
        some = window if report.cadence == "daily" else None
        listing = build_report_request(
            report, "1", some, metrics=METRICS, asked=METRICS, filters={"adgroup_ids": ["1"]}
        )
        found[operation_of(REPORT)] |= _names({**listing.parameters, "page": "1", "page_size": "1"})
    found[operation_of(AD_GROUP_CREATE)] |= _ad_group_fields()
    found[operation_of(AD_CREATE)] |= _ad_fields()
    return found


def _names(parameters: Mapping[str, Any]) -> set[str]:
    names = set(parameters)
    for name in ("metrics", "dimensions"):
        names |= {f"{name}={value}" for value in parameters.get(name, ())}
    filtering = parameters.get("filtering")
    if isinstance(filtering, dict):
        names |= {f"filtering.{name}" for name in filtering}
    elif filtering:
        names |= {f"filtering[].{name}" for one in filtering for name in one}
    return names


def _ad_group_fields() -> set[str]:
    source = _all_fields(operation_of(AD_GROUPS.endpoint), READ_ONLY_AD_GROUP_FIELDS)
    placed = AdGroupPlacement("1", "key", "[tta]", DAILY_BUDGET, None, enable=False, now=datetime.now(UTC))
    return {*build_ad_group_payload(source, placed), "budget"}


def _ad_fields() -> set[str]:
    source = _all_fields(operation_of(ADS.endpoint), READ_ONLY_AD_FIELDS)
    names: set[str] = set()
    for method, ad_format in product(get_args(CopyMethod), ("SINGLE_VIDEO", "CAROUSEL_ADS")):
        shown = CopiedCreative(method, Identity("BC_AUTH_TT", "1", "1"), ("1",))
        source["ad_format"] = ad_format
        for absent in ("call_to_action", "call_to_action_id"):  # an ad has one of the two
            some = {name: value for name, value in source.items() if name != absent}
            body = build_ad_payload(
                {**some, "promotional_music_disabled": False}, "1", "[tta]", shown, enable=False
            )
            (creative,) = body["creatives"]
            names |= {*body, *(f"creatives[].{name}" for name in creative)}
    return names


def _all_fields(operation: str, not_taken: Iterable[str]) -> dict[str, Any]:
    """An object with every documented field that is copied; the values are of no meaning."""
    rows = [
        path.removeprefix("data.list[].") for path in load_contract(operation).response if "data.list[]." in path
    ]
    fields = {name for name in rows if "." not in name and "[" not in name} - set(not_taken)
    return {"advertiser_id": "1", **{name: [{"value": "1"}] for name in fields}}


def list_read_names() -> dict[str, set[str]]:
    """Every field that is read, by operation; one that no table has a column for is kept, and not listed here."""
    found: dict[str, set[str]] = defaultdict(set)
    for endpoint, names in OTHER_READS.items():
        found[operation_of(endpoint)] |= {*ENVELOPE, *names}
    for entity in ENTITIES:
        paging = PAGE_INFO if entity in LISTED_ENTITIES else ("data.list",)
        columns = (f"data.list[].{column.api_name}" for column in entity.columns)
        found[operation_of(entity.endpoint)] |= {*ENVELOPE, *paging, *columns}
    for report in REPORTS:
        served = {column.api_name for column in report_columns(report, METRICS) if column.api_name}
        dimensions = {name for name in served if name in dimension_names(report)}
        found[operation_of(REPORT)] |= {
            *ENVELOPE,
            *PAGE_INFO,
            *(f"data.list[].dimensions.{name}" for name in dimensions),
            *(f"data.list[].metrics.{name}" for name in served - dimensions),
        }
    return found


def find_sources(operation: str, name: str, direction: str) -> tuple[str, ...]:
    """Who confirms a name that is `sent` or `read`, in the order of `CONFIRMERS`."""
    found = {kind for kind, one in load_witnesses().items() if name in getattr(one, direction).get(operation, ())}
    table_of = (
        load_contract(operation).request.parameters if direction == "sent" else load_contract(operation).response
    )
    plain = name.partition("=")[0]
    general = f"{plain.rpartition('.')[0]}.*"
    if name == plain and (plain in table_of or general in table_of) and plain not in _only_in_sdk(operation):
        found.add("page")
    if name == plain and direction == "sent" and name in sdk_parameters(operation):
        found.add("SDK")
    if direction == "read" and ".metrics." in name and operation == operation_of(REPORT):
        asked = f"metrics={name.rpartition('.')[2]}"
        found |= {kind for kind in ("client",) if asked in load_witnesses()[kind].sent.get(operation, ())}
    return tuple(kind for kind in SOURCE_KINDS if kind in found)


@cache
def _only_in_sdk(operation: str) -> frozenset[str]:
    """Names of a contract that its page does not have, by the contract's own marks."""
    notes = [mark.note for mark in load_contract(operation).marks if _SDK_ONLY in mark.note]
    listed = (note.partition(_SDK_ONLY)[0].rpartition("(")[0] or note.partition(_SDK_ONLY)[0] for note in notes)
    return frozenset(re.findall(r"[a-z][a-z0-9_]+", " ".join(listed))) - {"are", "is", "and"}


@cache
def sdk_parameters(operation: str) -> frozenset[str]:
    """The parameters of an operation by TikTok's own SDK: its method's, its filter's and its body's."""
    folder = Path(business_api_client.api.__file__).parent
    names: set[str] = set()
    for file in folder.glob("*_api.py"):
        text = file.read_text(encoding="utf-8")
        for block in text.split("_with_http_info(self")[1:]:
            if f"'/open_api/v1.3/{operation}/'" in block:
                listed = block.partition("all_params = [")[2].partition("]")[0]
                names |= {name.strip(" '\n") for name in listed.split(",")}
    words = "".join(part.title().replace("_", "") for part in operation.split("/"))
    names |= {f"filtering.{name}" for name in _fields_of(f"Filtering{words}")}
    body = {
        "oauth2/access_token": "Oauth2AccessTokenBody",
        "adgroup/create": "AdgroupCreateBody",
        "ad/create": "AdCreateBody",
    }.get(operation, "")
    names |= set(_fields_of(body))
    if operation == operation_of(AD_CREATE):
        names |= {f"creatives[].{name}" for name in _fields_of("AdcreateCreatives")}
    if operation == operation_of(REPORT):
        names |= {f"filtering[].{name}" for name in _fields_of("ReportTaskCreateBodyFiltering")}
    return frozenset(names)


def _fields_of(model: str) -> Iterable[str]:
    found = getattr(business_api_client, model, None)
    return found.attribute_map.values() if found else ()


def list_unconfirmed() -> list[tuple[str, str]]:
    """What nobody confirms: operation and name."""
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
Nobody who built this has a TikTok account. So each operation, each parameter and field sent, and each field read
has somebody else who confirms it, or stands under *Nobody*. With an account of your own,
`tiktok-assets doctor --first-contact` asks for everything once and writes down what differs.
""".strip()


def render_sources_page() -> str:
    """The page as Markdown."""
    return "\n".join(_render_lines()) + "\n"


def _render_lines() -> Iterator[str]:
    yield "# Who confirms what we send and read"
    yield ""
    yield WRITTEN_BY
    yield ""
    yield INTRODUCTION
    yield ""
    yield "## Who confirms"
    yield ""
    dated = {kind: f"{one.source.repository}, {one.source.date}" for kind, one in load_witnesses().items()}
    dated |= {"page": "the sources of each contract", "SDK": "the version pinned in `constraints.txt`"}
    yield from table(("word", "is", "from"), ((kind, what, dated[kind]) for kind, what in SOURCE_KINDS.items()))
    yield ""
    yield "## Nobody"
    yield ""
    yield (
        "Every name below is confirmed."
        if not UNCONFIRMED
        else "Names nobody confirms come first, then behaviour."
    )
    yield ""
    names = [(operation, f"`{name}`", told) for (operation, name), told in sorted(UNCONFIRMED.items())]
    yield from table(("operation", "what is assumed", "if it is wrong"), [*names, *RULES])
    yield ""
    all_sent, all_read = list_sent_names(), list_read_names()
    for operation in sorted(all_sent.keys() | all_read.keys()):
        yield f"## {operation}"
        yield ""
        rows = [
            (direction, _join_kinds(kinds), ", ".join(f"`{name}`" for name in sorted(names)))
            for direction, names_of in (("sent", all_sent), ("read", all_read))
            for kinds, names in _grouped(operation, names_of.get(operation, set()), direction)
        ]
        yield from table(("", "confirmed by", "names"), rows)
        yield ""


def _grouped(operation: str, names: Iterable[str], direction: str) -> list[tuple[tuple[str, ...], list[str]]]:
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[find_sources(operation, name, direction)].append(name)
    return sorted(groups.items(), key=lambda group: (-len(group[0]), group[0]))


def _join_kinds(kinds: tuple[str, ...]) -> str:
    return ", ".join(kinds) or "nobody"


if __name__ == "__main__":
    print(json.dumps(list_unconfirmed(), indent=1))  # noqa: T201 - asked for by a person
