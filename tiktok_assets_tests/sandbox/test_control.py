"""Tests of the clock, limits, faults, control routes and the runner."""

import json
import socket
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tiktok_assets.sandbox.http.errors import ApiError
from tiktok_assets.sandbox.http.rate_limits import Limiter, Limits
from tiktok_assets.sandbox.running import RunningSandbox, SandboxError
from tiktok_assets.sandbox.world.clock import Clock, ClockError
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.sandbox.conftest import REPORT, Api

ACCOUNT_PLAN = WorldPlan(dense=True, days=10, advertisers=3, campaigns=1, ad_groups=1, ads=2)


def true_spend(host: Host, owner: str) -> dict[str, Decimal]:
    """Return the true spend of an account by day."""
    day = {"start_date": "2026-10-30", "end_date": "2026-11-08"}
    rows = host.ground_truth("report", level="advertiser", advertiser_id=owner, **day)
    return {row["date"]: Decimal(row["metrics"]["spend"]) for row in rows}


def account(host: Host, owner: str) -> dict[str, Any]:
    """Return an account from the control route `info`."""
    (row,) = [one for one in host.control("GET", "info")["advertisers"] if one["advertiser_id"] == owner]
    return dict(row)


def test_currency_change_converts_amounts() -> None:
    """A change from dollars to yen multiplies the amounts of that account by about 150, without decimals."""
    with Host.run(ACCOUNT_PLAN) as host:
        first, other, _ = host.advertiser_ids
        before, others = true_spend(host, first), true_spend(host, other)
        host.control("POST", "accounts", advertiser_id=first, currency="JPY")
        assert account(host, first)["currency"] == "JPY"
        after = true_spend(host, first)
        assert after.keys() == before.keys()
        assert all(Decimal(145) < after[day] / before[day] < Decimal(155) for day in before)
        assert all(amount == amount.to_integral_value() for amount in after.values())
        assert true_spend(host, other) == others


def test_time_zone_change_splits_days_anew() -> None:
    """After a change to Tokyo time the current instant is in the next day, which has delivery."""
    with Host.run(ACCOUNT_PLAN) as host:
        owner = host.advertiser_ids[0]
        before = host.ground_truth(
            "report", level="advertiser", advertiser_id=owner, start_date="2026-11-10", end_date="2026-11-10"
        )
        assert before == []
        host.control("POST", "accounts", advertiser_id=owner, timezone="Asia/Tokyo")
        changed = account(host, owner)
        assert (changed["timezone"], changed["display_timezone"], changed["currency"]) == (
            "Asia/Tokyo",
            "Asia/Tokyo",
            "USD",
        )
        after = host.ground_truth(
            "report", level="advertiser", advertiser_id=owner, start_date="2026-11-10", end_date="2026-11-10"
        )
        assert len(after) == 1


@pytest.mark.parametrize(
    "wrong", [{"timezone": "Mars/Base"}, {"currency": "XXX"}, {"timezone": "../etc"}], ids=str
)
def test_unknown_time_zone_or_currency_is_refused(wrong: dict[str, str]) -> None:
    """An unknown time zone or currency is refused with 400, and nothing changes."""
    with Host.run(ACCOUNT_PLAN) as host:
        owner = host.advertiser_ids[0]
        before = account(host, owner)
        response = host.http.post("accounts", json={"advertiser_id": owner, **wrong})
        assert response.status_code == 400
        assert response.json()["error"]
        assert account(host, owner) == before


WALL = datetime(2026, 11, 20, tzinfo=UTC)


def test_clock_never_passes_the_wall_clock() -> None:
    """The world's clock can be fixed, run or be set, but not to the real future."""
    wall = [WALL]
    clock = Clock(WALL - timedelta(days=5), wall=lambda: wall[0])
    clock.advance(3600)
    wall[0] += timedelta(days=1)
    assert WALL - timedelta(days=5) + timedelta(hours=1) == clock.now()
    clock.set(clock.now())
    clock.running = True
    wall[0] += timedelta(hours=2)
    assert WALL - timedelta(days=5) + timedelta(hours=3) == clock.now()
    with pytest.raises(ClockError, match="never passes"):
        clock.set(wall[0] + timedelta(seconds=1))
    with pytest.raises(ClockError, match="time zone"):
        clock.set(WALL.replace(tzinfo=None))


def test_clock_route_refuses_the_future(api: Api) -> None:
    """A future instant is refused with 400, and nothing changes."""
    before = api.control("GET", "clock")
    response = api.http.post("/sandbox/clock", json={"advance_seconds": 1e9})
    assert (response.status_code, "wall clock" in response.json()["error"]) == (400, True)
    assert before == api.control("GET", "clock")


def test_limiter() -> None:
    """The limiter applies limits per second and minute; exceeding the latter blocks for five minutes."""
    now = [0.0]
    limiter = Limiter(Limits(qps=2, qpm=3), lambda: now[0])

    def code() -> int:
        try:
            limiter.admit("ad/get", "1")
        except ApiError as error:
            return error.code
        return 0

    assert [code() for _ in range(3)] == [0, 0, 40100]
    now[0] = 1.0
    assert [code() for _ in range(2)] == [0, 40100]
    now[0] = 200.0
    assert code() == 40100
    now[0] = 302.0
    assert code() == 0
    limiter.limits.advertiser_qps = 1
    assert [(now.__setitem__(0, at), code())[1] for at in (400.0, 400.5)] == [0, 40133]


def test_endpoint_limit() -> None:
    """ad/create allows 5 requests a second and 150 a minute, whatever the app's limits; more fail with 40016."""
    now = [0.0]
    limiter = Limiter(Limits(qps=1000, qpm=None), lambda: now[0])

    def code(path: str) -> int:
        try:
            limiter.admit(path, "1")
        except ApiError as error:
            return error.code
        return 0

    assert [code("ad/create") for _ in range(6)] == [0] * 5 + [40016]
    assert [code("ad/get") for _ in range(6)] == [0] * 6
    codes = [(now.__setitem__(0, second), code("ad/create"))[1] for second in range(1, 59) for _ in range(5)]
    assert (codes.count(0), set(codes)) == (145, {0, 40016})
    now[0] = 200.0
    limiter.limits.path_qps, limiter.limits.path_qpm = 1, 2
    assert [(now.__setitem__(0, at), code("ad/get"))[1] for at in (200, 200.5, 201, 202)] == [
        0,
        40016,
        0,
        40016,
    ]


def test_daily_quota_resets_at_midnight_utc() -> None:
    """After the daily quota requests fail with 40100 until the world's next day in UTC."""
    day = [date(2026, 11, 1)]
    limiter = Limiter(Limits(qps=None, qpm=None, qpd=2), lambda: 0.0, lambda: day[0])
    for _ in range(2):
        limiter.admit("ad/get", "1")
    for _ in range(2):
        with pytest.raises(ApiError, match="QPD") as caught:
            limiter.admit("ad/get", "1")
        assert caught.value.code == 40100
    day[0] += timedelta(1)
    limiter.admit("ad/get", "1")


def test_limits_over_http(api: Api, accounts: list[str]) -> None:
    """Over the limit the API returns 40100 with HTTP status 200, until the limit is removed."""
    api.control("POST", "limits", qps=2, qpm=None)
    codes = [api.get("campaign/get", advertiser_id=accounts[0])["code"] for _ in range(4)]
    assert 40100 in codes
    api.control("POST", "limits", qps=None)
    assert api.get("campaign/get", advertiser_id=accounts[0])["code"] == 0


def test_grants(api: Api, accounts: list[str]) -> None:
    """An account is refused while its grant is revoked, and accessible when it is granted again."""
    api.control("POST", "grants", advertiser_id=accounts[0], granted=False)
    assert api.get("campaign/get", advertiser_id=accounts[0])["code"] == 40001
    assert api.report(accounts[0], query_lifetime=True)["code"] == 40001
    assert api.get("advertiser/info", advertiser_ids=[accounts[0]])["code"] == 40001
    api.control("POST", "grants", advertiser_id=accounts[0], granted=True)
    assert api.get("campaign/get", advertiser_id=accounts[0])["code"] == 0


def test_request_log(api: Api, accounts: list[str]) -> None:
    """The log has the path, query and code of each request, but no token and no secret."""
    api.control("DELETE", "requests")
    api.get("oauth2/advertiser/get", app_id=api.sandbox.app_id, secret=api.sandbox.secret)
    api.get("ad/get", advertiser_id=accounts[4])
    log = api.control("GET", "requests")
    assert [(one["path"], one["code"]) for one in log] == [("oauth2/advertiser/get", 0), ("ad/get", 40001)]
    assert all(one["token"] for one in log)
    assert api.sandbox.secret not in json.dumps(log)
    assert api.sandbox.token not in json.dumps(log)


def request_ads(api: Api, page: int = 1) -> httpx.Response:
    """Send a list request and return the raw response."""
    return api.http.get(
        "/open_api/v1.3/ad/get/",
        params={
            "advertiser_id": api.control("GET", "info")["story"]["advertiser_id"],
            "page_size": 5,
            "page": page,
        },
        headers={"Access-Token": api.sandbox.token},
    )


def test_fault_fires_as_often_as_declared(api: Api) -> None:
    """A fault skips `after` requests, fires `times` times on its `path`, and counts how often it fired."""
    api.control("POST", "faults", kind="code", path="ad/get", code=50002, message="slow", after=1, times=2)
    codes = [request_ads(api).json()["code"] for _ in range(4)]
    assert codes == [0, 50002, 50002, 0]
    (fault,) = api.control("GET", "faults")
    assert fault["fired"] == 2
    api.control("DELETE", "faults")
    assert api.control("GET", "faults") == []


def test_fault_probability_is_seeded(api: Api) -> None:
    """A fault with a probability fires for the same requests in every run."""
    runs = []
    for _ in range(2):
        api.control("DELETE", "faults")
        api.control("POST", "faults", kind="code", probability=0.5, times=None)
        runs.append([request_ads(api).json()["code"] for _ in range(12)])
    assert runs[0] == runs[1]
    assert {0, 50000} == set(runs[0])


def test_faults_that_replace_the_response(api: Api) -> None:
    """Faults return other statuses, redirects, and closed, truncated and non-JSON bodies."""
    api.control("POST", "faults", kind="http_status", status=502, html="<h1>Bad</h1>")
    assert ((response := request_ads(api)).status_code, response.text) == (502, "<h1>Bad</h1>")
    api.control("POST", "faults", kind="http_status", status=429)
    assert ((response := request_ads(api)).status_code, response.json()["code"]) == (429, 50000)
    api.control("POST", "faults", kind="redirect", status=302, location="http://elsewhere.example/")
    assert ((response := request_ads(api)).status_code, response.headers["Location"]) == (
        302,
        "http://elsewhere.example/",
    )
    for kind in ("not_json", "truncated"):
        api.control("POST", "faults", kind=kind)
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
            request_ads(api).json()
    api.control("POST", "faults", kind="cut")
    with pytest.raises(httpx.RemoteProtocolError):
        request_ads(api)
    api.control("POST", "faults", kind="hang", seconds=0.2)
    started = time.monotonic()
    assert request_ads(api).json()["code"] == 0
    assert time.monotonic() - started >= 0.2


def test_faults_that_change_the_data(api: Api) -> None:
    """Faults repeat and shift pages, remove rows, and add and change fields."""
    expected = [request_ads(api, page=page).json()["data"] for page in (1, 2)]
    api.control("POST", "faults", kind="repeated_page")
    assert expected[0]["list"] == request_ads(api, page=2).json()["data"]["list"]
    api.control("POST", "faults", kind="drift", shift=1)
    shifted = request_ads(api, page=2).json()["data"]
    assert expected[0]["list"][-1] == shifted["list"][0]
    assert expected[1]["page_info"]["total_number"] + 1 == shifted["page_info"]["total_number"]
    api.control("POST", "faults", kind="drift", shift=-1)
    assert expected[1]["list"][1] == request_ads(api, page=2).json()["data"]["list"][0]
    api.control("POST", "faults", kind="lost_row")
    assert expected[0]["list"][1:] == request_ads(api).json()["data"]["list"]
    api.control("POST", "faults", kind="new_field")
    assert all("brand_new_field" in row for row in request_ads(api).json()["data"]["list"])
    api.control("POST", "faults", kind="wrong_type")
    assert isinstance(request_ads(api).json()["data"]["page_info"]["total_number"], str)
    api.control("POST", "faults", kind="wrong_type", field="ad_name")
    assert isinstance(request_ads(api).json()["data"]["list"][0]["ad_name"], dict)
    assert expected[0] == request_ads(api).json()["data"]


def test_fault_of_one_path_and_account(api: Api, accounts: list[str]) -> None:
    """A fault can be limited to one path and one account."""
    api.control("POST", "faults", kind="code", path=REPORT, advertiser_id=accounts[1], code=40067, times=None)
    assert api.report(accounts[0], query_lifetime=True)["code"] == 0
    assert api.report(accounts[1], query_lifetime=True)["code"] == 40067
    assert api.get("ad/get", advertiser_id=accounts[1])["code"] == 0


@pytest.mark.parametrize("wrong", [{"kind": "nonsense"}, {"kind": "code", "colour": 1}, {}], ids=str)
def test_invalid_faults_are_refused(api: Api, wrong: dict[str, Any]) -> None:
    """An invalid fault is refused with 400 and an error message."""
    response = api.http.post("/sandbox/faults", json=wrong)
    assert response.status_code == 400
    assert response.json()["error"]


def test_latency(api: Api) -> None:
    """Latency delays every response of the API, but no control route."""
    api.control("POST", "latency", seconds=0.15)
    started = time.monotonic()
    request_ads(api)
    assert time.monotonic() - started >= 0.15
    started = time.monotonic()
    api.control("POST", "latency", seconds=0)
    assert time.monotonic() - started < 0.15


def test_port_in_use() -> None:
    """A port in use is a SandboxError, and one line and exit code 1 on the command line."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError, match="in use"), RunningSandbox(port=port):
            pass
        command = [sys.executable, "-m", "tiktok_assets.sandbox", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # our own module
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_command_line_serves() -> None:
    """The command prints its address as one line of JSON, serves there, and stops on a signal."""
    command = [sys.executable, "-m", "tiktok_assets.sandbox", "--json", "--seed", "9", "--advertisers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # our own module
        assert process.stdout
        details = json.loads(process.stdout.readline())
        info = httpx.get(f"{details['base_url']}/sandbox/info").json()
        process.terminate()
        process.wait(10)
    assert (9, details["token"], 2) == (info["seed"], info["token"], len(info["advertisers"]))


def test_two_sandboxes_are_independent() -> None:
    """Two sandboxes of one process are independent, and stop at the end of their `with` block."""
    with RunningSandbox(WorldPlan(seed=1)) as one, RunningSandbox(WorldPlan(seed=2)) as two:
        urls = {one.base_url, two.base_url}
        seeds = [httpx.get(f"{running.base_url}/sandbox/info").json()["seed"] for running in (one, two)]
    assert (len(urls), seeds) == (2, [1, 2])
    for url in urls:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/sandbox/info")
