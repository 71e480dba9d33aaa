"""Answer report/task/create, check, download and cancel (API notes 6.7).

Sources: mengxingxinqing/tiktok_ads, create_an_asynchronous_report_task, get_the_status_of_an_async_report_task,
download_the_output_of_an_async_report_task, cancel_an_asynchronous_report_task. The codes of most refusals are not
documented; they are our choice.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from tiktok_assets.sandbox.http.context import Context, ResponseData
from tiktok_assets.sandbox.http.errors import ApiError, bad_parameter, metrics_conflict
from tiktok_assets.sandbox.http.params import Params, parse_choice, parse_id, parse_json
from tiktok_assets.sandbox.http.report_tasks import LINK_SECONDS, VALID_SECONDS, ReportTask
from tiktok_assets.sandbox.reads.data_levels import LEVELS
from tiktok_assets.sandbox.reads.report_query import ReportQuery, parse_query
from tiktok_assets.sandbox.reads.report_rows import format_metrics, metric_formatter, with_lists
from tiktok_assets.sandbox.reads.reports import compute_rows, row_dimensions

REPORT_TYPES = ("BASIC", "AUDIENCE")  # "Playable ads reports are not supported"; CATALOG is not imitated
FORMATS = ("CSV_STRING", "CSV_DOWNLOAD", "XLSX_DOWNLOAD")
FILTERS = ("campaign_ids", "adgroup_ids", "ad_ids", "ad_ids_v2", "country_code")
MAX_FILTER_IDS = 20_000
MAX_FILE_NAME = 255
FORBIDDEN_IN_FILE_NAMES = frozenset("/\t\b@#$%^&*()[]")
# "Querying UV metrics with audience dimensions is not supported in asynchronous reports."
UV_METRICS = frozenset({
    *("average_video_play_per_user", "frequency", "cost_per_1000_reached", "real_time_result"),
    *("real_time_result_rate", "real_time_cost_per_result", "result", "result_rate", "cost_per_result", "reach"),
    "live_play_count",
})  # fmt: skip
# From the examples of the page and of a program that parses them; the other titles are our guess.
TITLES = {
    "advertiser_id": "Account ID",
    "campaign_id": "Campaign ID",
    "campaign_name": "Campaign Name",
    "adgroup_id": "Ad Group ID",
    "adgroup_name": "Ad Group Name",
    "ad_id": "Ad ID",
    "ad_name": "Ad Name",
    "stat_time_day": "Date",
    "spend": "Cost",
    "impressions": "Impression",
    "clicks": "Click",
}
COUNTRIES = {"US": "United States", "JP": "Japan", "DE": "Germany", "CA": "Canada"}


def create_task(context: Context) -> ResponseData:
    """Create a report task, after the checks that need no data."""
    if not context.switches.report_tasks_allowed:
        raise ApiError(40118, "The app is not in the allowlist of this feature.")
    params = _params_of(context.body)
    parse_choice(params.required("report_type"), "report_type", REPORT_TYPES)
    output_format = params.choice("output_format", FORMATS, "CSV_STRING")
    if output_format == "XLSX_DOWNLOAD":
        raise bad_parameter("output_format", "This sandbox imitates CSV, not XLSX.")
    file_name = _parse_file_name(params)
    translates_titles = params.text("enable_report_title_translation") != "false"
    query = _parse_query(context, params)
    context.advertiser(query.advertiser_id)
    if not context.tasks.count_creation(context.token, query.advertiser_id, context.monotonic()):
        raise ApiError.from_code(40016)
    fired = context.fired.get("task_failed") or context.fired.get("task_stuck")
    task = ReportTask(
        task_id=context.tasks.next_id(),
        advertiser_id=query.advertiser_id,
        token=context.token,
        values=params.values(),
        output_format=output_format,
        file_name=file_name,
        translates_titles=translates_titles,
        created=context.now,
        started=context.monotonic(),
        fault=fired.kind.removeprefix("task_") if fired else "",
        reason=fired.message if fired else "",
    )
    context.tasks.add(task)
    return {"task_id": task.task_id}


def check_task(context: Context) -> ResponseData:
    """Return the status of a task, with the reason if it failed."""
    task = _find_task(context, context.params)
    status = context.tasks.status_of(task, context.monotonic())
    return {"status": status, "message": task.reason if status == "FAILED" else ""}


def download_task(context: Context) -> ResponseData:
    """Return the CSV text of a task, or the URL of its file for an hour."""
    task = _find_task(context, context.params)
    status = context.tasks.status_of(task, context.monotonic())
    if status != "SUCCESS":
        raise bad_parameter("task_id", f"The task has the status {status}, not SUCCESS.")
    if task.content is None:
        task.content = _write_csv(context, task)
    content = _damage(context, task.content)
    if task.output_format == "CSV_STRING":
        context.raw_body = (content, "text/csv")
        return {}
    good_for = 0 if "link_expired" in context.fired else LINK_SECONDS
    return {
        "output_format": task.output_format,
        "file_name": f"{task.file_name or task.task_id}.csv",
        "download_url": context.tasks.add_file(task, content, context.base_url, context.now + good_for),
    }


def cancel_task(context: Context) -> ResponseData:
    """Cancel a task that is queued or processed."""
    task = _find_task(context, _params_of(context.body))
    status = context.tasks.status_of(task, context.monotonic())
    if status not in ("QUEUING", "PROCESSING"):
        raise bad_parameter("task_id", f"The task has the status {status}, and cannot be canceled.")
    task.is_canceled = True
    return {"status": "CANCELED"}


def _find_task(context: Context, params: Params) -> ReportTask:
    advertiser_id, task_id = params.identifier("advertiser_id"), params.identifier("task_id")
    context.advertiser(advertiser_id)
    task = context.tasks.by_id.get(task_id)
    is_known = task is not None and (task.advertiser_id, task.token) == (advertiser_id, context.token)
    if task is None or not is_known or context.now - task.created >= VALID_SECONDS:
        raise bad_parameter("task_id", "The task does not exist, or was created with another access token.")
    return task


def _params_of(body: dict[str, Any]) -> Params:
    """Return the fields of a body as the parameters of a query, whose lists are JSON text."""
    for name in ("advertiser_id", "task_id"):
        if name in body:
            parse_id(body[name], name)
    return Params({name: one if isinstance(one, str) else json.dumps(one) for name, one in body.items()})


def _parse_file_name(params: Params) -> str:
    name = (params.text("file_name") or "").strip()
    if len(name) > MAX_FILE_NAME:
        raise bad_parameter("file_name", f"Longer than maximum length {MAX_FILE_NAME}.")
    if wrong := FORBIDDEN_IN_FILE_NAMES & set(name):
        raise bad_parameter("file_name", f"Must not contain {min(wrong)!r}.")
    return name


def _parse_query(context: Context, params: Params) -> ReportQuery:
    """Parse the report of a task, which may have any number of days, and no filters but those of ids."""
    values, switches = params.values(), context.switches
    filtering = parse_json(values["filtering"], "filtering") if "filtering" in values else []
    for index, row in enumerate(filtering if isinstance(filtering, list) else []):
        name = row.get("field_name") if isinstance(row, dict) else None
        if name not in FILTERS:
            raise bad_parameter(
                f"filtering.{index}.field_name", f"{name} is not supported in asynchronous reports."
            )
    level = LEVELS.get(values.get("data_level", ""))
    if level and level.status_field and switches.tasks_of_deleted and isinstance(filtering, list):
        all_of_them = {"field_name": level.status_field, "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}
        values["filtering"] = json.dumps([*filtering, all_of_them])
    query = parse_query(
        Params(values),
        withdrawn=switches.withdrawn_metrics,
        named=switches.withdrawn_metrics_named,
        limits_days=False,
        max_filter_ids=MAX_FILTER_IDS,
    )
    if query.breakdowns and UV_METRICS & set(query.metrics):
        raise metrics_conflict()
    return query


def _write_csv(context: Context, task: ReportTask) -> bytes:
    """Return the rows of a report as CSV, the same values as in pages; the number of ads is not limited."""
    query = _parse_query(context, Params(task.values))
    advertiser = context.advertiser(task.advertiser_id)
    rows, _ = compute_rows(context, query, advertiser, context.facts.latest_hour(context.now), max_ads=None)
    formatters = [metric_formatter(name, advertiser) for name in query.metrics]
    names = [*query.dimensions, *(name for name in query.metrics if name not in query.dimensions)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_translate, names) if task.translates_titles else names)
    for row in rows:
        metrics = with_lists(format_metrics(row, formatters), row, context.now, beside=True)
        cells = {**metrics, **row_dimensions(query, row)}
        if "country_code" in cells:  # "This is a known issue and will be fixed in future release."
            cells["country_code"] = COUNTRIES.get(cells["country_code"], cells["country_code"])
        writer.writerow(cells[name] for name in names)
    return file.getvalue().encode()


def _translate(name: str) -> str:
    return TITLES.get(name) or name.replace("_", " ").title()


def _damage(context: Context, content: bytes) -> bytes:
    """Return the file with the changes of the fired faults."""
    if fault := context.fired.get("file_cut"):
        return content[: -fault.shift]
    if "file_row_lost" in context.fired:
        return content[: content.rindex(b"\n", 0, -1) + 1]
    return content


ENDPOINTS: dict[str, tuple[str, Callable[[Context], ResponseData]]] = {
    "report/task/create": ("POST", create_task),
    "report/task/check": ("GET", check_task),
    "report/task/download": ("GET", download_task),
    "report/task/cancel": ("POST", cancel_task),
}
