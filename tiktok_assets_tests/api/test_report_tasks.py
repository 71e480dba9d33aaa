"""Tests of report tasks on the wire: when they are checked, and from where their files are downloaded."""

from io import BytesIO
from itertools import islice

import pytest

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import ContractError, ReportTaskError
from tiktok_assets.api.report_files import ExpiredLinkError, download_report_file
from tiktok_assets.api.report_tasks import ReportTaskClient, TaskPolicy
from tiktok_assets_tests.api.conftest import FAST, Listener

API = "https://business-api.tiktok.com"


def test_a_task_is_checked_less_and_less_often() -> None:
    """The interval between checks doubles up to its limit, so a task of a minute takes four checks."""
    policy = TaskPolicy()
    assert list(islice(policy.check_times(), 6)) == [5, 15, 35, 65, 95, 125]
    assert policy.assumed_checks == 4
    assert TaskPolicy(assumed_seconds=5).assumed_checks == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://ads.tiktok.com/report.csv?sign=s3cret",
        "https://ads.tiktok.com.example/report.csv?sign=s3cret",
        "https://user:pass@ads.tiktok.com/report.csv?sign=s3cret",
        "http://127.0.0.1:1/report.csv?sign=s3cret",
        "file:///etc/passwd?sign=s3cret",
        "https://[ads/?sign=s3cret",
    ],
)
def test_links_to_other_hosts_are_not_followed(url: str) -> None:
    """Only https links of TikTok are followed; the sentence does not show the link, which is good for an hour."""
    with pytest.raises(ReportTaskError) as caught:
        download_report_file(url, BytesIO(), API)
    assert not isinstance(caught.value, ExpiredLinkError)
    assert "its link is not" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_file_is_requested_without_the_token() -> None:
    """The request for a file has no access token, and its body replaces what the file had."""
    with Listener(body=b"ad_id,spend\n1,2\n") as host:
        file = BytesIO(b"something longer than the body of the file")
        assert download_report_file(f"{host.url}/report.csv", file, host.url) == len(host.body)
    assert file.getvalue() == host.body
    ((_, headers),) = host.received
    assert "access-token" not in headers


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (302, {"Location": "https://ads.tiktok.com/"}, "HTTP status 302"),
        (404, {}, "HTTP status 404"),
        (200, {"Content-Encoding": "gzip"}, "compressed"),
        (200, {"Content-Length": "1000"}, "RemoteProtocolError"),
    ],
)
def test_unusable_files(status: int, headers: dict[str, str], reason: str) -> None:
    """A redirect, an error, a compressed body and one that ends early are refused."""
    with (
        Listener(status=status, headers=headers, body=b"ad_id\n") as host,
        pytest.raises(ReportTaskError) as caught,
    ):
        download_report_file(f"{host.url}/report.csv", BytesIO(), host.url)
    assert reason in str(caught.value)


def test_a_file_that_is_too_large_is_refused() -> None:
    """A file that is larger than any valid one is not read to its end."""
    with Listener(body=b"0" * 100) as host, pytest.raises(ReportTaskError, match="larger than"):
        download_report_file(f"{host.url}/report.csv", BytesIO(), host.url, max_bytes=10)


@pytest.mark.parametrize("data", [b"{}", b'{"task_id": 7}', b'{"task_id": "../1"}'])
def test_a_task_without_id_is_an_error(data: bytes) -> None:
    """A response without a valid task id breaks the contract."""
    body = b'{"code": 0, "message": "OK", "request_id": "1", "data": %s}' % data
    with Listener(body=body) as host, Client(host.url, "token", policy=FAST) as client:
        with pytest.raises(ContractError, match="task_id"):
            ReportTaskClient(client).create({"advertiser_id": "7001"}, RequestStats())
        assert len(host.received) == 1
