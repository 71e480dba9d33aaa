"""Tests of the sandbox's asynchronous report tasks: their states, files and refusals."""

import csv
import io
from typing import Any

import pytest

from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.http.report_tasks import MAX_TASKS_PER_HOUR, ReportTasks
from tiktok_assets_tests.contracts.contract import find_response_violations, load_contract
from tiktok_assets_tests.sandbox.conftest import ID_OF, STATUS_OF, Api

DAYS = {"start_date": "2026-09-01", "end_date": "2026-11-08"}
METRICS = ["spend", "impressions", "reach", "ctr"]
HOUR = 3600


def create(api: Api, account: str, **changed: object) -> dict[str, Any]:
    """Return the envelope of a creation; by default of a daily report of ads with untranslated titles."""
    body: dict[str, Any] = {
        "advertiser_id": account,
        "report_type": "BASIC",
        "data_level": "AUCTION_AD",
        "dimensions": ["ad_id", "stat_time_day"],
        "metrics": METRICS,
        "enable_report_title_translation": False,
        **DAYS,
        **changed,
    }
    return api.post("report/task/create", **{name: one for name, one in body.items() if one is not None})


def created(api: Api, account: str, **changed: object) -> dict[str, str]:
    """Create a task that succeeds at once, and return the parameters that identify it."""
    api.control("POST", "tasks", queue_seconds=0, processing_seconds=0)
    response = create(api, account, **changed)
    assert find_response_violations(load_contract("report/task/create"), response) == []
    return {"advertiser_id": account, "task_id": response["data"]["task_id"]}


def file_of(api: Api, account: str, **changed: object) -> list[list[str]]:
    """Return the rows of a task's file, its title row first."""
    task = created(api, account, output_format="CSV_DOWNLOAD", **changed)
    response = api.get("report/task/download", **task)
    assert find_response_violations(load_contract("report/task/download"), response) == []
    file = api.http.get(response["data"]["download_url"])
    assert (file.status_code, file.text[-1]) == (200, "\n")
    return list(csv.reader(io.StringIO(file.text)))


@pytest.mark.parametrize("level", ID_OF)
def test_the_file_has_the_rows_of_the_pages(api: Api, accounts: list[str], level: str) -> None:
    """The file has the values of the synchronous report, of more days than one of its queries can have."""
    dimensions = [ID_OF[level], "stat_time_day"]
    header, *rows = file_of(api, accounts[0], data_level=level, dimensions=dimensions)
    assert header == [*dimensions, *METRICS]
    months = [("2026-09-01", "2026-09-30"), ("2026-10-01", "2026-10-30"), ("2026-10-31", "2026-11-08")]
    expected = [
        [*row["dimensions"].values(), *row["metrics"].values()]
        for first, last in months
        for row in api.rows(
            accounts[0], level, dimensions=dimensions, metrics=METRICS, start_date=first, end_date=last
        )
    ]
    assert sorted(rows) == sorted(expected)
    assert len(rows) > 60
    if level in STATUS_OF:
        api.control("POST", "switches", tasks_of_deleted=False)
        assert len(file_of(api, accounts[0], data_level=level, dimensions=dimensions)) <= len(rows)


def test_titles_are_translated_by_default(api: Api, accounts: list[str]) -> None:
    """Without the switch the title row is that of TikTok's example, and a country is named instead of coded."""
    titles, *_ = file_of(api, accounts[0], metrics=["ad_name", "spend"], enable_report_title_translation=None)
    assert titles == ["Ad ID", "Date", "Ad Name", "Cost"]
    dimensions = ["ad_id", "country_code"]
    _, *rows = file_of(api, accounts[0], report_type="AUDIENCE", dimensions=dimensions, metrics=["spend"])
    assert {"United States"} <= {row[1] for row in rows}


def test_a_task_advances_by_time(api: Api, accounts: list[str]) -> None:
    """A task is queued, then processed, then successful; only then its output can be downloaded."""
    task = created(api, accounts[0])

    def status(queue: float, processing: float) -> str:
        api.control("POST", "tasks", queue_seconds=queue, processing_seconds=processing)
        response = api.get("report/task/check", **task)
        assert find_response_violations(load_contract("report/task/check"), response) == []
        return str(response["data"]["status"])

    assert status(HOUR, 0) == "QUEUING"
    assert api.get("report/task/download", **task)["code"] == 40002
    assert status(0, HOUR) == "PROCESSING"
    assert status(0, 0) == "SUCCESS"
    assert api.post("report/task/cancel", **task)["code"] == 40002


def test_a_waiting_task_can_be_canceled(api: Api, accounts: list[str]) -> None:
    """A queued task is canceled once, with the token that created it."""
    task = created(api, accounts[0])
    api.control("POST", "tasks", queue_seconds=HOUR)
    assert api.post("report/task/cancel", token=api.sandbox.world.other_token, **task)["code"] == 40002
    response = api.post("report/task/cancel", **task)
    assert (response["code"], response["data"]) == (0, {"status": "CANCELED"})
    assert find_response_violations(load_contract("report/task/cancel"), response) == []
    assert api.get("report/task/check", **task)["data"]["status"] == "CANCELED"
    assert api.post("report/task/cancel", **task)["code"] == 40002


def test_text_output_has_no_envelope(api: Api, accounts: list[str]) -> None:
    """The output of a task with the default format is the CSV text itself."""
    task = created(api, accounts[0])
    url, headers = "/open_api/v1.3/report/task/download/", {"Access-Token": api.sandbox.token}
    response = api.http.get(url, params=task, headers=headers)
    assert response.headers["content-type"].startswith("text/csv")
    assert response.text.startswith("ad_id,stat_time_day,spend,impressions,reach,ctr\n")


def test_links_expire_after_an_hour_and_tasks_after_thirty_days(api: Api, accounts: list[str]) -> None:
    """A link is good for an hour, a new one can be had for thirty days; a forged one is never good."""
    task = created(api, accounts[0], output_format="CSV_DOWNLOAD")
    api.sandbox.clock.advance(-40 * 24 * HOUR)
    task = created(api, accounts[0], output_format="CSV_DOWNLOAD", start_date="2026-09-01", end_date="2026-09-20")
    url = api.get("report/task/download", **task)["data"]["download_url"]
    assert api.http.get(url).status_code == 200
    assert api.http.get(url.replace("expire=", "expire=9")).status_code == 403
    api.sandbox.clock.advance(HOUR)
    assert api.http.get(url).status_code == 403
    assert api.http.get(api.get("report/task/download", **task)["data"]["download_url"]).status_code == 200
    api.sandbox.clock.advance(30 * 24 * HOUR)
    assert api.get("report/task/check", **task)["code"] == 40002


@pytest.mark.parametrize(
    ("changed", "code", "named"),
    [
        ({"report_type": "PLAYABLE_MATERIAL"}, 40002, "report_type"),
        ({"output_format": "XLSX_DOWNLOAD"}, 40002, "output_format"),
        ({"output_format": "CSV"}, 40002, "output_format"),
        ({"file_name": "a" * 256}, 40002, "file_name"),
        ({"file_name": "a/b"}, 40002, "file_name"),
        ({"dimensions": None}, 40002, "dimensions"),
        ({"advertiser_id": 7000000000000000001}, 40002, "advertiser_id"),
        ({"metrics": ["spent"]}, 40002, "spent"),
        ({"start_date": None}, 40002, "start_date"),
        (
            {"filtering": [{"field_name": "ad_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]},
            40002,
            "filtering.0.field_name",
        ),
        ({"report_type": "AUDIENCE", "dimensions": ["ad_id", "age"], "metrics": ["reach"]}, 40002, "Conflict"),
    ],
)
def test_refused_tasks(api: Api, accounts: list[str], changed: dict[str, Any], code: int, named: str) -> None:
    """What asynchronous reports do not support is refused when the task is created."""
    response = create(api, accounts[0], **changed)
    assert (response["code"], named in response["message"]) == (code, True)


def test_a_filter_may_have_twenty_thousand_ids(api: Api, accounts: list[str]) -> None:
    """A task accepts 20,000 ids, where a synchronous report accepts a hundred."""

    def code(count: int) -> int:
        ids = ",".join(f'"{number}"' for number in range(count))
        filtering = [{"field_name": "ad_ids", "filter_type": "IN", "filter_value": f"[{ids}]"}]
        return int(create(api, accounts[0], filtering=filtering)["code"])

    assert (code(20_000), code(20_001)) == (0, 40011)


def test_an_app_must_be_on_the_list(api: Api, accounts: list[str]) -> None:
    """An app that TikTok has not allowed to use tasks gets 40118, and an account without grant 40001."""
    assert create(api, accounts[4])["code"] == 40001
    api.control("POST", "switches", report_tasks_allowed=False)
    assert create(api, accounts[0])["code"] == 40118


def test_creations_are_limited(api: Api, accounts: list[str]) -> None:
    """An app can create one task a second, and a user 500 for an account an hour."""
    api.sandbox.state.limiter.limits = Limits()
    assert [create(api, accounts[0])["code"] for _ in range(2)] == [0, 40016]
    tasks = ReportTasks()
    allowed = [tasks.count_creation("token", "7001", 7.0) for _ in range(MAX_TASKS_PER_HOUR + 1)]
    assert allowed == [True] * MAX_TASKS_PER_HOUR + [False]
    assert tasks.count_creation("token", "7002", 7.0)
    assert tasks.count_creation("token", "7001", 7.0 + HOUR)


def test_faults_of_tasks(api: Api, accounts: list[str]) -> None:
    """A task can fail with a message or stay unfinished, and its file can be cut or its link be expired."""
    api.control("POST", "faults", kind="task_failed", message="out of memory", path="report/task/create")
    task = created(api, accounts[0])
    assert api.get("report/task/check", **task)["data"] == {"status": "FAILED", "message": "out of memory"}
    api.control("POST", "faults", kind="task_stuck", path="report/task/create")
    assert api.get("report/task/check", **created(api, accounts[0]))["data"]["status"] == "PROCESSING"
    whole = created(api, accounts[0], output_format="CSV_DOWNLOAD")

    def download() -> tuple[int, str]:
        file = api.http.get(api.get("report/task/download", **whole)["data"]["download_url"])
        return file.status_code, file.text

    text = download()[1]
    for kind, expected in (
        ("file_cut", (200, text[:-7])),
        ("file_row_lost", (200, text[: text.rindex("\n", 0, -1) + 1])),
    ):
        api.control("POST", "faults", kind=kind, shift=7, path="report/task/download")
        assert download() == expected
    api.control("POST", "faults", kind="link_expired", path="report/task/download")
    assert download()[0] == 403
    assert download() == (200, text)
