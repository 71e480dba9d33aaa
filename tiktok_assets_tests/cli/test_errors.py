"""What bad input gets: one sentence that names the thing and the mend, an exit code, and nothing lost."""

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
from tiktok_assets_tests.cli.conftest import Ran, Run, run_command, variables_of

TOMORROW = (datetime.now(UTC).date() + timedelta(days=2)).isoformat()
YESTERDAY = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
BEFORE = (datetime.now(UTC).date() - timedelta(days=9)).isoformat()


@dataclass(frozen=True)
class Bad:
    """A wrong call: its arguments and variables, its exit code, and the words its sentence must hold."""

    name: str
    arguments: tuple[str, ...]
    exit_code: int
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


CALLS = (
    Bad("no token", ("get", "advertisers"), 1, ("TIKTOK_ACCESS_TOKEN",), {"TIKTOK_ACCESS_TOKEN": ""}),
    Bad("blank in token", ("get", "advertisers"), 1, ("TIKTOK_ACCESS_TOKEN",), {"TIKTOK_ACCESS_TOKEN": "a b"}),
    Bad("wrong token", ("get", "advertisers"), 1, ("40105", "TIKTOK_ACCESS_TOKEN"), {"TIKTOK_ACCESS_TOKEN": "no"}),
    Bad(
        "no app to list accounts with",
        ("get", "advertisers"),
        1,
        ("TIKTOK_ADVERTISER_IDS. ", "TIKTOK_APP_ID", "tiktok-assets auth"),
        {"TIKTOK_APP_ID": ""},
    ),
    Bad("nothing set up", ("sync",), 1, ("tiktok-assets auth",), {"TIKTOK_APP_ID": "", "TIKTOK_ACCESS_TOKEN": ""}),
    Bad("foreign advertiser", ("get", "ads", "--advertiser", "7001"), 1, ("40001", "TIKTOK_ADVERTISER_IDS")),
    Bad("several advertisers", ("get", "ads"), 2, ("--advertiser",)),
    Bad("unknown advertiser", ("plan", "--advertiser", "7001"), 2, ("7001", "not granted", "the accounts are")),
    Bad("future", ("plan", "--from", YESTERDAY, "--to", TOMORROW), 2, ("--to", TOMORROW, "future")),
    Bad("end before start", ("plan", "--from", YESTERDAY, "--to", BEFORE), 2, (BEFORE, "before", "swap")),
    Bad("no day", ("plan", "--from", "yesterday"), 2, ("--from", "YYYY-MM-DD")),
    Bad("end without start", ("plan", "--to", YESTERDAY), 2, ("--from",)),
    Bad("before the start date", ("plan", "--from", "2020-01-01"), 2, ("TIKTOK_START_DATE",)),
    Bad("unknown asset", ("plan", "--select", "adds"), 2, ("'adds'", "ad_report_daily")),
    Bad(
        "unknown level", ("get", "report", "--advertiser", "1", "--level", "creative"), 2, ("creative", "ad_group")
    ),
    Bad("two formats", ("get", "advertisers", "--json", "--csv"), 2, ("--json", "--csv")),
    Bad("nothing stored", ("top",), 1, ("sync",), {"TIKTOK_DATA_DIR": "empty"}),
    Bad("wrong number", ("plan",), 2, ("TIKTOK_LOOKBACK_DAYS",), {"TIKTOK_LOOKBACK_DAYS": "week"}),
    Bad("wrong metric", ("plan",), 2, ("TIKTOK_METRICS", "'Spent'"), {"TIKTOK_METRICS": "+Spent"}),
    Bad("wrong host", ("get", "advertisers"), 2, ("TIKTOK_BASE_URL",), {"TIKTOK_BASE_URL": "tiktok"}),
)


@pytest.mark.parametrize("bad", CALLS, ids=lambda bad: bad.name)
def test_a_wrong_call_gets_one_sentence_and_its_exit_code(run: Run, bad: Bad) -> None:
    """Bad input ends with one sentence that names the thing and the mend, and without a traceback."""
    ran = run(*bad.arguments, variables=bad.variables)

    assert bad.exit_code == ran.exit_code, ran.err
    assert "Traceback" not in ran.err
    said = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(said) == 1
    assert not [word for word in bad.words if word not in said[0]], said[0]


@pytest.mark.parametrize("command", [("demo",), ("sandbox",), ("dev",)])
def test_a_port_in_use_is_named(run: Run, command: tuple[str, ...]) -> None:
    """A port that is taken is named, with the option that chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = run(*command, "--port", port)

    assert ran.exit_code == 1
    assert port in ran.err
    assert "--port" in ran.err
    assert "Traceback" not in ran.err


def test_a_folder_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    """A data folder that cannot be written stops `sync` before anything is asked of the API."""
    blocked = tmp_path / "a_file"
    blocked.write_text("")
    ran = run("sync", variables={"TIKTOK_DATA_DIR": str(blocked / "data")})

    assert ran.exit_code == 1
    assert "TIKTOK_DATA_DIR" in ran.err
    assert "Traceback" not in ran.err


def test_what_was_stored_survives_every_wrong_call(run: Run, tmp_path: Path) -> None:
    """A wrong `sync` leaves what was already stored untouched, byte for byte."""
    first = run("sync", "--select", "advertisers,campaigns")
    before = fingerprint(tmp_path / "data")
    wrong = [
        run("sync", variables={"TIKTOK_ACCESS_TOKEN": "no"}),
        run("sync", "--from", TOMORROW),
        run("sync", "--advertiser", "7001"),
    ]

    assert first.exit_code == 0, first.err
    assert before
    assert [ran.exit_code for ran in wrong] == [1, 2, 2]
    assert before == fingerprint(tmp_path / "data")


def fingerprint(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A world of its own for each test, so that it may be broken."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        yield running


def sentence_of(ran: Ran) -> str:
    """The one sentence a failed command ends with."""
    assert "Traceback" not in ran.err
    (said,) = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    return said


def alerts_in(folder: Path) -> list[Path]:
    """The alerts that were written."""
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
def test_no_account_granted_is_one_sentence_with_the_fix(
    host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Each command that needs an account says that none is granted, how to grant one, and ends with 1."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    ran = run_command(*command, variables=variables_of(host), folder=tmp_path)

    assert ran.exit_code == 1
    assert "no ad account is granted to the app. Open the address `tiktok-assets auth` prints" in sentence_of(ran)


def test_a_token_without_accounts_is_kept_and_told(host: RunningSandbox, tmp_path: Path) -> None:
    """`auth` keeps the token, says that no account was ticked, and ends with 1."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    code = host.state.auth.issue_code(host.app_id, host.state.now)
    variables = {name: told for name, told in variables_of(host).items() if name != "TIKTOK_ACCESS_TOKEN"}
    ran = run_command("auth", code, "--without-state", variables=variables, folder=tmp_path)

    assert ran.exit_code == 1
    assert "the token is in .env, but no ad account is granted to the app. Open the address" in sentence_of(ran)
    assert "TIKTOK_ACCESS_TOKEN" in (tmp_path / ".env").read_text(encoding="utf-8")


def of_the_day(message: str) -> Fault:
    """A refusal for the quota of the day, in one of the wordings it may have."""
    return Fault(kind="code", code=40100, times=None, message=message)


@pytest.mark.parametrize(
    "message",
    ["The app's QPD (1001) reaches QPD limit 1000.", "Daily quota exceeded.", "Too many requests per day."],
)
@pytest.mark.parametrize("command", [("get", "advertisers"), ("plan",), ("sync",), ("doctor",)], ids=" ".join)
def test_a_quota_of_the_day_says_when_it_is_refilled(
    host: RunningSandbox, tmp_path: Path, command: tuple[str, ...], message: str
) -> None:
    """No command waits or tells to wait minutes; each says the hour after one request, and the next asks none."""
    host.state.faults.declared.append(of_the_day(message))
    ran = run_command(*command, variables=variables_of(host), folder=tmp_path)
    again = run_command("get", "advertisers", variables=variables_of(host), folder=tmp_path)

    for one in (ran, again):
        assert one.exit_code == 1
        assert "TikTok refills it at 00:00 UTC, in " in one.out + one.err
        assert "few minutes" not in one.out + one.err
    assert len(host.state.requests) == 1


def test_a_sync_stops_at_the_quota_keeps_what_it_has_and_goes_on_the_next_day(tmp_path: Path) -> None:
    """Nothing more is sent; what was stored is told and stays; after 00:00 UTC the same command ends well."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with RunningSandbox(
        SMALL, now=midnight - timedelta(hours=1), limits=Limits(qps=None, qpm=None, qpd=6)
    ) as host:
        one = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
        variables = {**variables_of(host), "TIKTOK_ADVERTISER_IDS": one}
        ran = run_command("sync", "--json", variables=variables, folder=tmp_path)
        told = json.loads(ran.out)
        (failure,) = told["failures"]
        stored = set((tmp_path / "data").rglob("*.parquet"))

        assert ran.exit_code == 1
        assert "quota of requests for today is used up; TikTok refills it at 00:00 UTC, in 1 h 0 min" in failure
        partitions, tables = sum(told["partitions"].values()), len(told["partitions"])
        assert f"Until then {partitions} partitions of {tables} tables" in failure
        assert told["rows"]["ads"] > 0
        assert "few minutes" not in ran.err
        assert told["requests"] <= 6 + 8  # those under way when the first was refused
        assert len(alerts_in(tmp_path)) == 1

        asked = len(host.state.requests)
        second = run_command("sync", variables=variables, folder=tmp_path)
        assert second.exit_code == 1
        assert len(host.state.requests) == asked
        assert stored <= set((tmp_path / "data").rglob("*.parquet"))

        host.clock.set(midnight + timedelta(seconds=1))
        _an_hour_goes_by(tmp_path)
        host.state.limiter.limits.qpd = 200
        third = run_command("sync", variables=variables, folder=tmp_path)
        assert third.exit_code == 0, third.err


def _an_hour_goes_by(folder: Path) -> None:
    """Move the note of the pause an hour into the past, as the wall clock would."""
    (note,) = (folder / ".tiktok_assets").glob("*.pause")
    pause = json.loads(note.read_text())
    note.write_text(json.dumps(pause | {"began": pause["began"] - 3601, "until": pause["until"] - 3601}))


def settings_of_sandbox(host: RunningSandbox) -> Mapping[str, str]:
    """What a person sets for TikTok's own sandbox."""
    one = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
    return {
        **variables_of(host),
        "TIKTOK_ADVERTISER_IDS": one,
        "TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo",
        "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY",
    }


@pytest.mark.parametrize("missing", [None, "adgroup/get"])
def test_tiktoks_own_sandbox_is_synced_with_the_settings(
    host: RunningSandbox, tmp_path: Path, missing: str | None
) -> None:
    """Every sync ends well, says once what that host lacks, stores what it has, and alerts nobody."""
    host.state.switches.tiktok_sandbox = True
    if missing:
        message = "This endpoint is not supported in the sandbox."
        host.state.faults.declared.append(
            Fault(kind="code", path=missing, code=40009, times=None, message=message)
        )
    variables = settings_of_sandbox(host)
    for _ in range(2):
        ran = run_command("sync", "--json", variables=variables, folder=tmp_path)
        assert ran.exit_code == 0, ran.err
        told = json.loads(ran.out)
        assert told["failures"] == []
        assert (told["rows"]["advertisers"], told["rows"]["campaigns"] > 0) == (1, True)
        assert ran.err.count("this host does not offer") == 1
        assert "advertiser/info" in ran.err
        assert "time zone and currency of its accounts are those of the settings" in ran.err
        assert (missing or "") in ran.err
    assert alerts_in(tmp_path) == []
    shown = run_command("get", "advertisers", "--json", variables=variables, folder=tmp_path)
    assert json.loads(shown.out)[0]["currency"] == "JPY"


def test_a_host_without_details_names_the_settings_it_needs(host: RunningSandbox, tmp_path: Path) -> None:
    """Without zone and currency in the settings the sentence says which to set."""
    host.state.switches.tiktok_sandbox = True
    one = settings_of_sandbox(host)["TIKTOK_ADVERTISER_IDS"]
    ran = run_command("plan", variables={**variables_of(host), "TIKTOK_ADVERTISER_IDS": one}, folder=tmp_path)

    assert ran.exit_code == 1
    assert "TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY" in sentence_of(ran)


def test_a_failure_counts_the_partitions_of_its_own_table(host: RunningSandbox, tmp_path: Path) -> None:
    """Of three accounts whose campaigns are read one fails: 1 of 3, although each has a history beside."""
    granted = [one.id for one in host.world.advertisers.values() if one.granted][:3]
    lost = Fault(kind="code", path="campaign/get", code=40001, times=None, advertiser_id=granted[1])
    host.state.faults.declared.append(lost)
    ids = {"TIKTOK_ADVERTISER_IDS": ",".join(granted)}
    ran = run_command("sync", "--select", "campaigns", variables={**variables_of(host), **ids}, folder=tmp_path)

    assert len(granted) == 3
    assert ran.exit_code == 1
    assert "1 of 3 partitions failed: campaigns" in sentence_of(ran)


@pytest.mark.parametrize("named", [True, False])
def test_a_refused_metric_is_named_by_sync_and_its_alert(
    host: RunningSandbox, tmp_path: Path, *, named: bool
) -> None:
    """Named by TikTok or not, the summary counts the metric's check as not passed, and the alert says which."""
    host.state.switches.withdrawn_metrics = ["likes"]
    host.state.switches.withdrawn_metrics_named = named
    ran = run_command(
        "sync", "--select", "ad_report_lifetime,check_tables", variables=variables_of(host), folder=tmp_path
    )
    assert ran.exit_code == 0, ran.err
    assert "1 not passed" in ran.err
    assert "warning: ad_report_lifetime, all_metrics_served: TikTok refuses likes" in ran.err
    (alert,) = [path.read_text(encoding="utf-8") for path in alerts_in(tmp_path) if path.suffix == ".json"]
    assert "TikTok refuses likes" in alert


def test_a_metric_no_document_names_is_asked_for_and_warned_of(host: RunningSandbox, tmp_path: Path) -> None:
    """A sync says that the name is doubtful, which may be meant, and that TikTok refused it."""
    variables = {**variables_of(host), "TIKTOK_METRICS": "+likez"}
    ran = run_command("sync", "--json", "--select", "ad_report_lifetime", variables=variables, folder=tmp_path)
    assert ran.exit_code == 0, ran.err
    warned = json.loads(ran.out)["warnings"]
    assert any("likez (perhaps likes is meant)" in one for one in warned)
    assert any("TikTok refuses likez" in one for one in warned)
    assert json.loads(ran.out)["rows"]["ad_report_lifetime"] > 0
