"""Tests of error messages: one sentence with the cause and the fix, the exit code, and no stored data lost."""

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import RunCommand, build_variables, run_command

TOMORROW = (datetime.now(UTC).date() + timedelta(days=2)).isoformat()
YESTERDAY = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
BEFORE = (datetime.now(UTC).date() - timedelta(days=9)).isoformat()


@dataclass(frozen=True)
class InvalidCall:
    """An invalid call with its environment variables, its exit code, and words of its error message."""

    name: str
    arguments: tuple[str, ...]
    exit_code: int
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


CALLS = (
    InvalidCall("no token", ("get", "advertisers"), 1, ("TIKTOK_ACCESS_TOKEN",), {"TIKTOK_ACCESS_TOKEN": ""}),
    InvalidCall(
        "blank in token", ("get", "advertisers"), 1, ("TIKTOK_ACCESS_TOKEN",), {"TIKTOK_ACCESS_TOKEN": "a b"}
    ),
    InvalidCall(
        "wrong token", ("get", "advertisers"), 1, ("40105", "TIKTOK_ACCESS_TOKEN"), {"TIKTOK_ACCESS_TOKEN": "no"}
    ),
    InvalidCall(
        "no app to list accounts with",
        ("get", "advertisers"),
        1,
        ("TIKTOK_ADVERTISER_IDS. ", "TIKTOK_APP_ID", "tiktok-assets auth"),
        {"TIKTOK_APP_ID": ""},
    ),
    InvalidCall(
        "nothing set up", ("sync",), 1, ("tiktok-assets auth",), {"TIKTOK_APP_ID": "", "TIKTOK_ACCESS_TOKEN": ""}
    ),
    InvalidCall(
        "foreign advertiser", ("get", "ads", "--advertiser", "7001"), 1, ("40001", "TIKTOK_ADVERTISER_IDS")
    ),
    InvalidCall("several advertisers", ("get", "ads"), 2, ("--advertiser",)),
    InvalidCall(
        "unknown advertiser",
        ("plan", "--advertiser", "7001"),
        2,
        ("7001", "not granted", "the granted accounts are"),
    ),
    InvalidCall("future", ("plan", "--from", YESTERDAY, "--to", TOMORROW), 2, ("--to", TOMORROW, "future")),
    InvalidCall("end before start", ("plan", "--from", YESTERDAY, "--to", BEFORE), 2, (BEFORE, "before", "swap")),
    InvalidCall("no day", ("plan", "--from", "yesterday"), 2, ("--from", "YYYY-MM-DD")),
    InvalidCall("end without start", ("plan", "--to", YESTERDAY), 2, ("--from",)),
    InvalidCall("before the start date", ("plan", "--from", "2020-01-01"), 2, ("TIKTOK_START_DATE",)),
    InvalidCall("unknown asset", ("plan", "--select", "adds"), 2, ("'adds'", "ad_report_daily")),
    InvalidCall(
        "unknown level", ("get", "report", "--advertiser", "1", "--level", "creative"), 2, ("creative", "ad_group")
    ),
    InvalidCall("two formats", ("get", "advertisers", "--json", "--csv"), 2, ("--json", "--csv")),
    InvalidCall("nothing stored", ("top",), 1, ("sync",), {"TIKTOK_DATA_DIR": "empty"}),
    InvalidCall("no creatives", ("creatives",), 1, ("sync",), {"TIKTOK_DATA_DIR": "empty"}),
    InvalidCall("unknown figure", ("creatives", "--by", "reach"), 2, ("'reach'", "hook_rate")),
    InvalidCall("unknown period", ("creatives", "--days", "30"), 2, ("--days", "28")),
    InvalidCall("two outputs", ("creatives", "--xlsx", "a.xlsx", "--csv"), 2, ("--xlsx", "--csv")),
    InvalidCall("wrong number", ("plan",), 2, ("TIKTOK_LOOKBACK_DAYS",), {"TIKTOK_LOOKBACK_DAYS": "week"}),
    InvalidCall("wrong metric", ("plan",), 2, ("TIKTOK_METRICS", "'Spent'"), {"TIKTOK_METRICS": "+Spent"}),
    InvalidCall("wrong host", ("get", "advertisers"), 2, ("TIKTOK_BASE_URL",), {"TIKTOK_BASE_URL": "tiktok"}),
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_invalid_call_ends_with_one_message(run: RunCommand, call: InvalidCall) -> None:
    """An invalid call ends with its exit code and one message that names the cause and the fix."""
    result = run(*call.arguments, variables=call.variables)

    assert call.exit_code == result.exit_code, result.err
    assert not [word for word in call.words if word not in result.error], result.error


@pytest.mark.parametrize("command", [("demo",), ("sandbox",), ("dev",)])
def test_port_in_use(run: RunCommand, command: tuple[str, ...]) -> None:
    """The message about a port in use has the port and the option that chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(*command, "--port", port)

    assert result.exit_code == 1
    assert port in result.err
    assert "--port" in result.err
    assert "Traceback" not in result.err


def test_data_folder_that_cannot_be_written(run: RunCommand, tmp_path: Path) -> None:
    """If the data folder cannot be written, `sync` fails with the name of the setting."""
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    result = run("sync", variables={"TIKTOK_DATA_DIR": str(blocked / "data")})

    assert result.exit_code == 1
    assert "TIKTOK_DATA_DIR" in result.err
    assert "Traceback" not in result.err


def test_invalid_sync_keeps_stored_data(run: RunCommand, tmp_path: Path) -> None:
    """An invalid `sync` does not change any stored file."""
    first = run("sync", "--select", "advertisers,campaigns")
    before = hash_files(tmp_path / "data")
    invalid = [
        run("sync", variables={"TIKTOK_ACCESS_TOKEN": "no"}),
        run("sync", "--from", TOMORROW),
        run("sync", "--advertiser", "7001"),
    ]

    assert first.exit_code == 0, first.err
    assert before
    assert [result.exit_code for result in invalid] == [1, 2, 2]
    assert before == hash_files(tmp_path / "data")


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 digest of each file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A sandbox for one test, which may add faults to it."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        yield running


def list_alerts(folder: Path) -> list[Path]:
    """Return the alert files in the state folder of a working directory."""
    return sorted((folder / ".tiktok_assets" / "alerts").glob("*.json"))


@pytest.mark.parametrize(
    "command",
    [
        ("get", "advertisers"),
        ("get", "campaigns"),
        ("get", "report", "--lifetime"),
        ("top", "--live"),
        ("plan",),
        ("plan", "--from", "2026-01-01"),
        ("sync", "--plan"),
        ("sync",),
        ("sync", "--advertiser", "7001"),
        ("duplicate", "17001", "--to", "18001"),
    ],
    ids=" ".join,
)
def test_no_granted_account(host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each command that needs an account reports that none is granted and how to grant one, with exit code 1."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    result = run_command(*command, variables=build_variables(host), folder=tmp_path)

    assert result.exit_code == 1
    assert "no ad account is granted to the app. Open the URL that `tiktok-assets auth` prints" in result.error


def test_token_without_accounts_is_stored(host: RunningSandbox, tmp_path: Path) -> None:
    """`auth` stores a token without accounts, reports that none is granted, and ends with exit code 1."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    code = host.state.auth.issue_code(host.app_id, host.state.now)
    variables = {name: value for name, value in build_variables(host).items() if name != "TIKTOK_ACCESS_TOKEN"}
    result = run_command("auth", code, "--without-state", variables=variables, folder=tmp_path)

    assert result.exit_code == 1
    assert "the token is stored in .env, but no ad account is granted to the app. Open the URL" in result.error
    assert "TIKTOK_ACCESS_TOKEN" in (tmp_path / ".env").read_text(encoding="utf-8")


def daily_quota_fault(message: str) -> Fault:
    """Return a refusal of all requests because the daily quota is used up."""
    return Fault(kind="code", code=40100, times=None, message=message)


@pytest.mark.parametrize(
    "message",
    ["The app's QPD (1001) reaches QPD limit 1000.", "Daily quota exceeded.", "Too many requests per day."],
)
@pytest.mark.parametrize("command", [("get", "advertisers"), ("plan",), ("sync",), ("doctor",)], ids=" ".join)
def test_used_up_daily_quota(host: RunningSandbox, tmp_path: Path, command: tuple[str, ...], message: str) -> None:
    """A command reports after one request when the daily quota is refilled; the next command sends no request."""
    host.state.faults.declared.append(daily_quota_fault(message))
    result = run_command(*command, variables=build_variables(host), folder=tmp_path)
    again = run_command("get", "advertisers", variables=build_variables(host), folder=tmp_path)

    for one in (result, again):
        assert one.exit_code == 1
        assert "TikTok refills it at 00:00 UTC, in " in one.out + one.err
        assert "few minutes" not in one.out + one.err
    assert len(host.state.requests) == 1


@pytest.mark.slow
def test_sync_continues_after_the_daily_quota_is_refilled(tmp_path: Path) -> None:
    """A sync stops at the daily quota and keeps what it has stored; after 00:00 UTC the same sync succeeds."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with RunningSandbox(
        SMALL, now=midnight - timedelta(hours=1), limits=Limits(qps=None, qpm=None, qpd=6)
    ) as host:
        one = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
        variables = {**build_variables(host), "TIKTOK_ADVERTISER_IDS": one}
        result = run_command("sync", "--json", variables=variables, folder=tmp_path)
        summary = json.loads(result.out)
        (failure,) = summary["failures"]
        stored = set((tmp_path / "data").rglob("*.parquet"))

        assert result.exit_code == 1
        assert "quota of requests for today is used up; TikTok refills it at 00:00 UTC, in 1 h 0 min" in failure
        partitions, tables = sum(summary["partitions"].values()), len(summary["partitions"])
        assert f"Until then {partitions} partitions of {tables} tables" in failure
        assert summary["rows"]["ads"] > 0
        assert "few minutes" not in result.err
        assert summary["requests"] <= 6 + 8  # those in flight when the first was refused
        assert len(list_alerts(tmp_path)) == 1

        request_count = len(host.state.requests)
        second = run_command("sync", variables=variables, folder=tmp_path)
        assert second.exit_code == 1
        assert len(host.state.requests) == request_count
        assert stored <= set((tmp_path / "data").rglob("*.parquet"))

        host.clock.set(midnight + timedelta(seconds=1))
        _advance_cooldown_by_an_hour(tmp_path)
        host.state.limiter.limits.qpd = 200
        third = run_command("sync", variables=variables, folder=tmp_path)
        assert third.exit_code == 0, third.err


def _advance_cooldown_by_an_hour(folder: Path) -> None:
    """Move the stored cooldown one hour into the past."""
    (file,) = (folder / ".tiktok_assets").glob("*.pause")
    cooldown = json.loads(file.read_text())
    file.write_text(json.dumps(cooldown | {name: cooldown[name] - 3601 for name in ("began", "until")}))


def tiktok_sandbox_variables(host: RunningSandbox) -> Mapping[str, str]:
    """Return the environment variables that TikTok's own sandbox needs."""
    one = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
    return {
        **build_variables(host),
        "TIKTOK_ADVERTISER_IDS": one,
        "TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo",
        "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY",
    }


@pytest.mark.slow
@pytest.mark.parametrize("missing", [None, "adgroup/get"])
def test_sync_of_tiktoks_own_sandbox(host: RunningSandbox, tmp_path: Path, missing: str | None) -> None:
    """A sync stores what the host offers, reports once what it does not offer, and sends no alert."""
    host.state.switches.tiktok_sandbox = True
    if missing:
        message = "This endpoint is not supported in the sandbox."
        host.state.faults.declared.append(
            Fault(kind="code", path=missing, code=40009, times=None, message=message)
        )
    variables = tiktok_sandbox_variables(host)
    for _ in range(2):
        result = run_command("sync", "--json", variables=variables, folder=tmp_path)
        assert result.exit_code == 0, result.err
        summary = json.loads(result.out)
        assert summary["failures"] == []
        assert (summary["rows"]["advertisers"], summary["rows"]["campaigns"] > 0) == (1, True)
        assert result.err.count("this host does not offer") == 1
        assert "advertiser/info" in result.err
        assert "the time zones and currencies of its accounts are taken from the settings" in result.err
        assert (missing or "") in result.err
    assert list_alerts(tmp_path) == []
    accounts = run_command("get", "advertisers", "--json", variables=variables, folder=tmp_path)
    assert json.loads(accounts.out)[0]["currency"] == "JPY"


def test_host_without_account_details(host: RunningSandbox, tmp_path: Path) -> None:
    """If host and settings have no time zone and currency, the message names the settings."""
    host.state.switches.tiktok_sandbox = True
    one = tiktok_sandbox_variables(host)["TIKTOK_ADVERTISER_IDS"]
    result = run_command(
        "plan", variables={**build_variables(host), "TIKTOK_ADVERTISER_IDS": one}, folder=tmp_path
    )

    assert result.exit_code == 1
    assert "TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY" in result.error


@pytest.mark.slow
def test_failure_counts_partitions_of_its_table(host: RunningSandbox, tmp_path: Path) -> None:
    """If one of three accounts fails, the message counts 1 of 3 partitions, without those of the history table."""
    granted = [one.id for one in host.world.advertisers.values() if one.granted][:3]
    lost = Fault(kind="code", path="campaign/get", code=40001, times=None, advertiser_id=granted[1])
    host.state.faults.declared.append(lost)
    ids = {"TIKTOK_ADVERTISER_IDS": ",".join(granted)}
    result = run_command(
        "sync", "--select", "campaigns", variables={**build_variables(host), **ids}, folder=tmp_path
    )

    assert len(granted) == 3
    assert result.exit_code == 1
    assert "1 of 3 partitions failed: campaigns" in result.error


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_refused_metric_is_reported(host: RunningSandbox, tmp_path: Path, *, named: bool) -> None:
    """`sync` and the alert name a metric that TikTok refuses, whether or not TikTok's error names it."""
    host.state.switches.withdrawn_metrics = ["likes"]
    host.state.switches.withdrawn_metrics_named = named
    result = run_command(
        "sync", "--select", "ad_report_lifetime,check_tables", variables=build_variables(host), folder=tmp_path
    )
    assert result.exit_code == 0, result.err
    assert "1 not passed" in result.err
    assert "warning: ad_report_lifetime, all_metrics_served: TikTok refuses likes" in result.err
    (alert,) = [path.read_text(encoding="utf-8") for path in list_alerts(tmp_path) if path.suffix == ".json"]
    assert "TikTok refuses likes" in alert


def test_undocumented_metric_is_requested_with_a_warning(host: RunningSandbox, tmp_path: Path) -> None:
    """A sync warns about an undocumented metric, suggests a similar name, and reports that TikTok refused it."""
    variables = {**build_variables(host), "TIKTOK_METRICS": "+likez"}
    result = run_command("sync", "--json", "--select", "ad_report_lifetime", variables=variables, folder=tmp_path)
    assert result.exit_code == 0, result.err
    warnings = json.loads(result.out)["warnings"]
    assert any("likez (did you mean likes?)" in one for one in warnings)
    assert any("TikTok refuses likez" in one for one in warnings)
    assert json.loads(result.out)["rows"]["ad_report_lifetime"] > 0
