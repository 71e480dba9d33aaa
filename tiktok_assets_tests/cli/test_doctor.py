"""Tests of the `doctor` command against a sandbox with each fault in turn."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import pytest
from dagster._core.utils import make_new_run_id  # Dagster exports no name for it
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.cli.doctor_checks import CHECKS
from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.run_tags import REFRESH_TAG
from tiktok_assets.defs.schedules import find_shortest_interval, measure_usual_refresh
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.api.conftest import Listener
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command

NOT_SET = {"alerts", "destinations", "pinned", "scaling", "copies"}
"""Checks of settings that the variables of a sandbox do not set."""

NOT_CHECKED = {"schedule"}
"""Checks that need a refresh first."""

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)


@contextmanager
def open_sandbox(limits: Limits | None = None) -> Iterator[RunningSandbox]:
    """Run a small sandbox with the current time; by default without rate limits."""
    limits = limits or Limits(qps=None, qpm=None)
    with RunningSandbox(SMALL, now=datetime.now(UTC), clock_runs=True, limits=limits) as running:
        yield running


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A sandbox for one test, which may add faults to it."""
    with open_sandbox() as running:
        yield running


@dataclass(frozen=True)
class DoctorResult:
    """The result of `doctor`: the command's own, the state of each check, and the text of each fault."""

    command: CommandResult
    states: Mapping[str, str]
    faults: Mapping[str, str]


def doctor(host: RunningSandbox, folder: Path, **variables: str) -> DoctorResult:
    """Run `doctor --json` against a sandbox, with further environment variables."""
    result = run_command("doctor", "--json", variables={**build_variables(host), **variables}, folder=folder)
    assert "Traceback" not in result.err
    rows = json.loads(result.out)
    assert list(CHECKS) == [row["check"] for row in rows]
    faults = {row["check"]: f"{row['fault']} {row['mend']}" for row in rows if row["state"] == "fault"}
    assert (1 if faults else 0) == result.exit_code, result
    return DoctorResult(result, {row["check"]: row["state"] for row in rows}, faults)


def list_granted(host: RunningSandbox) -> list[str]:
    """Return the advertiser ids granted to the app."""
    return sorted(one.id for one in host.world.advertisers.values() if one.granted)


def list_paths(host: RunningSandbox) -> list[str]:
    """Return the paths of the requests so far."""
    return [entry["path"] for entry in host.state.requests]


def test_valid_setup_passes_all_checks(host: RunningSandbox, tmp_path: Path) -> None:
    """With a valid setup all checks are ok, with seven requests a run and one for the shops of each account."""
    result = doctor(host, tmp_path)
    lines = run_command("doctor", variables=build_variables(host), folder=tmp_path)

    expected = dict.fromkeys(NOT_SET, "not set") | dict.fromkeys(NOT_CHECKED, "not checked")
    assert result.states == {check: expected.get(check, "ok") for check in CHECKS}
    assert len(list_paths(host)) == 2 * (7 + len(list_granted(host)))
    assert lines.exit_code == 0
    assert len(CHECKS) == len(lines.out.splitlines())
    assert all(line.startswith(("ok ", "not set ", "not checked ")) for line in lines.out.splitlines())


def test_invalid_setting(host: RunningSandbox, tmp_path: Path) -> None:
    """An invalid setting is reported, and no request is sent."""
    result = doctor(host, tmp_path, TIKTOK_LOOKBACK_DAYS="week")

    assert set(result.faults) == {"settings"}
    assert "TIKTOK_LOOKBACK_DAYS" in result.faults["settings"]
    assert list_paths(host) == []


def test_missing_token(host: RunningSandbox, tmp_path: Path) -> None:
    """A missing token is the only fault; folders, host and clock are checked all the same."""
    result = doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="")

    assert set(result.faults) == {"token"}
    assert "tiktok-assets auth" in result.faults["token"]
    assert [result.states[check] for check in ("store", "state", "host", "clock")] == ["ok"] * 4


def test_token_with_blanks(host: RunningSandbox, tmp_path: Path) -> None:
    """A token that contains a blank is a fault of the token."""
    assert "spaces" in doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="a b").faults["token"]


def test_revoked_token(host: RunningSandbox, tmp_path: Path) -> None:
    """A revoked token is a fault of another check than a missing one, found with one request."""
    host.state.auth.revoke(host.token)
    result = doctor(host, tmp_path)

    assert set(result.faults) == {"accepted"}
    assert "revoked" in result.faults["accepted"]
    assert len(list_paths(host)) == 1


def test_token_of_another_app(host: RunningSandbox, tmp_path: Path) -> None:
    """A valid token of another app is a fault of the app, and the token is accepted."""
    result = doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN=host.world.other_token)

    assert set(result.faults) == {"app"}
    assert "TIKTOK_APP_ID" in result.faults["app"]
    assert result.states["accepted"] == "ok"


def test_wrong_app_secret_with_configured_accounts(host: RunningSandbox, tmp_path: Path) -> None:
    """With a wrong app secret the accounts of TIKTOK_ADVERTISER_IDS are still checked."""
    pinned = list_granted(host)[0]
    result = doctor(host, tmp_path, TIKTOK_APP_SECRET="wrong-secret", TIKTOK_ADVERTISER_IDS=pinned)

    assert set(result.faults) == {"app"}
    assert "wrong-secret" not in result.command.out + result.command.err
    assert [result.states[check] for check in ("entities", "reports", "details")] == ["ok"] * 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("oauth2/advertiser/get", "accounts"),
        ("advertiser/info", "details"),
        ("campaign/get", "entities"),
        ("adgroup/get", "entities"),
        ("ad/get", "entities"),
        ("report/integrated/get", "reports"),
    ],
)
def test_missing_permission(host: RunningSandbox, tmp_path: Path, path: str, check: str) -> None:
    """A missing permission is the only fault, with the endpoint that needs it."""
    host.state.switches.no_scope_for = [path]
    result = doctor(host, tmp_path)

    assert set(result.faults) == {check}
    assert path in result.faults[check]
    assert "permission" in result.faults[check]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "check", "permission"),
    [
        ("campaign/get", "entities", "Ads Management"),
        ("adgroup/get", "entities", "Ads Management"),
        ("ad/get", "entities", "Ads Management"),
        ("report/integrated/get", "reports", "Reporting"),
        ("advertiser/info", "details", "Ad Account Management"),
    ],
)
@pytest.mark.parametrize("pinned", [False, True])
def test_refused_endpoint_is_a_missing_permission(
    host: RunningSandbox, tmp_path: Path, path: str, check: str, permission: str, *, pinned: bool
) -> None:
    """If only one endpoint is refused with 40001, the fault names its permission and how to get it."""
    message = f"The advertiser does not grant you /{path}/:GET permission."
    host.state.faults.declared.append(Fault(kind="code", path=path, code=40001, times=None, message=message))
    result = doctor(host, tmp_path, **({"TIKTOK_ADVERTISER_IDS": ",".join(list_granted(host))} if pinned else {}))

    assert set(result.faults) == {check}
    for part in (path, permission, "app's page", "tiktok-assets auth"):
        assert part in result.faults[check]


def test_several_missing_permissions(host: RunningSandbox, tmp_path: Path) -> None:
    """One fault lists all endpoints of a check that lack a permission."""
    host.state.switches.no_scope_for = ["campaign/get", "ad/get"]
    result = doctor(host, tmp_path)

    assert set(result.faults) == {"entities"}
    assert "campaign/get/; the token lacks the permission for ad/get/" in result.faults["entities"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "unchecked"),
    [
        ("oauth2/advertiser/get", {"accepted", "app", "accounts", "entities", "reports", "details"}),
        ("campaign/get", {"entities", "reports", "details"}),
        ("adgroup/get", {"entities", "reports", "details"}),
        ("report/integrated/get", {"reports", "details"}),
    ],
)
def test_checks_after_a_rate_limit_are_not_ok(
    host: RunningSandbox, tmp_path: Path, path: str, unchecked: set[str]
) -> None:
    """Checks that a rate limit prevents are `not checked`."""
    fault = {"kind": "code", "path": path, "code": 40100, "times": None, "message": "App 7 is restricted."}
    host.state.faults.declared.append(_fault(fault))
    result = doctor(host, tmp_path)

    assert {result.states[check] for check in unchecked} == {"not checked"}


def test_account_details_are_read_despite_settings(host: RunningSandbox, tmp_path: Path) -> None:
    """Settings with time zone and currency do not hide that a refresh cannot read the account details."""
    one = list_granted(host)[0]
    known = {"TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo", "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY"}
    host.state.switches.no_scope_for = ["advertiser/info"]
    result = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one, **known)

    assert set(result.faults) == {"details"}
    assert "Ad Account Management" in result.faults["details"]


def test_no_granted_account(host: RunningSandbox, tmp_path: Path) -> None:
    """An app without granted accounts has a fault of the accounts."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    result = doctor(host, tmp_path)

    assert set(result.faults) == {"accounts"}
    assert "no ad account is granted" in result.faults["accounts"]


def test_configured_account_without_grant(host: RunningSandbox, tmp_path: Path) -> None:
    """Each account of TIKTOK_ADVERTISER_IDS that is not granted is reported, and the others are checked."""
    good = list_granted(host)[0]
    result = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=f"7001,{good},7002")

    assert set(result.faults) == {"pinned"}
    assert "7001, 7002" in result.faults["pinned"]
    assert good not in result.faults["pinned"]
    assert result.states["details"] == "ok"


def test_no_app_and_no_accounts(host: RunningSandbox, tmp_path: Path) -> None:
    """Without app id, app secret and configured accounts, the fault names both ways to fix it."""
    result = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="")

    assert set(result.faults) == {"accounts"}
    assert "TIKTOK_ADVERTISER_IDS" in result.faults["accounts"]


def test_configured_accounts_need_no_app(host: RunningSandbox, tmp_path: Path) -> None:
    """With configured accounts neither app id nor secret is needed; an account without grant is reported."""
    good = list_granted(host)[0]
    valid = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="", TIKTOK_ADVERTISER_IDS=good)
    result = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="", TIKTOK_ADVERTISER_IDS=f"7001,{good}")

    assert valid.faults == {}
    assert valid.states["app"] == "not checked"
    assert set(result.faults) == {"pinned"}
    assert "7001" in result.faults["pinned"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>hello</html>", 200), (b'{"hello": "world"}', 200), (b"<html>lost</html>", 404)]
)
def test_host_that_is_not_a_tiktok_api(host: RunningSandbox, tmp_path: Path, body: bytes, status: int) -> None:
    """A host with other responses is reported with its URL and the setting."""
    with Listener(body=body, status=status) as other:
        result = doctor(host, tmp_path, TIKTOK_BASE_URL=other.url)

    assert set(result.faults) == {"host"}
    assert other.url in result.faults["host"]
    assert "TIKTOK_BASE_URL" in result.faults["host"]


def test_host_that_does_not_respond(host: RunningSandbox, tmp_path: Path) -> None:
    """An unreachable host is a fault of the host, with and without a token."""
    unreachable = "http://127.0.0.1:9"
    for variables in ({}, {"TIKTOK_ACCESS_TOKEN": ""}):
        result = doctor(host, tmp_path, TIKTOK_BASE_URL=unreachable, **variables)

        assert unreachable in result.faults["host"]
        assert result.states["clock"] == "not checked"


@pytest.mark.parametrize(("minutes", "direction"), [(4, None), (6, "ahead of")])
def test_wrong_clock(host: RunningSandbox, tmp_path: Path, minutes: int, direction: str | None) -> None:
    """A difference of more than five minutes between this machine's clock and the host's is a fault."""
    host.clock.set(datetime.now(UTC) - timedelta(minutes=minutes))
    result = doctor(host, tmp_path)

    assert set(result.faults) == ({"clock"} if direction else set())
    assert (direction or "") in result.faults.get("clock", "")
    assert result.states["reports"] == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("code", [40016, 40100])
@pytest.mark.parametrize("path", ["oauth2/advertiser/get", "campaign/get", "report/integrated/get"])
def test_restricted_app(host: RunningSandbox, tmp_path: Path, code: int, path: str) -> None:
    """A rate limit is the only fault, whichever endpoint it is found at."""
    fault = {"kind": "code", "path": path, "code": code, "times": None, "message": "App 7 is restricted."}
    host.state.faults.declared.append(_fault(fault))
    result = doctor(host, tmp_path)

    assert set(result.faults) == {"unrestricted"}
    assert str(code) in result.faults["unrestricted"]


def test_banned_country(host: RunningSandbox, tmp_path: Path) -> None:
    """A ban of the country is the only fault; neither token nor app is reported."""
    host.state.faults.declared.append(_fault({"kind": "code", "code": 41000, "times": None, "message": "No."}))
    result = doctor(host, tmp_path)

    assert set(result.faults) == {"unrestricted"}
    assert "country" in result.faults["unrestricted"]


def _fault(values: Mapping[str, object]) -> Fault:
    return msgspec.convert(values, Fault)


@pytest.mark.parametrize(
    ("variable", "check"), [("TIKTOK_DATA_DIR", "store"), ("TIKTOK_STATE_DIR", "state"), ("DAGSTER_HOME", "state")]
)
def test_folder_that_cannot_be_written(host: RunningSandbox, tmp_path: Path, variable: str, check: str) -> None:
    """A folder that cannot be written is reported with its setting, and everything else is checked."""
    (tmp_path / "a_file").write_text("")
    result = doctor(host, tmp_path, **{variable: str(tmp_path / "a_file" / "below")})

    assert set(result.faults) == {check}
    assert variable in result.faults[check]
    assert result.states["details"] == "ok"


def test_tiktoks_own_sandbox(tmp_path: Path) -> None:
    """On a host without account lists and details, the faults name the settings that replace them."""
    with open_sandbox() as host:
        host.state.switches.tiktok_sandbox = True
        one = list_granted(host)[0]
        details = {"TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo", "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY"}
        unnamed = doctor(host, tmp_path)
        without = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one)
        valid = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one, **details)
        foreign = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=f"{one},7001", **details)

    assert set(unnamed.faults) == {"accounts"}
    assert set(without.faults) == {"details"}
    assert (
        f"TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY, as advertiser_id:value, for each of: {one}"
        in (without.faults["details"])
    )
    assert valid.faults == {}
    assert set(foreign.faults) == {"pinned"}
    assert "7001" in foreign.faults["pinned"]


def test_secrets_are_not_printed(host: RunningSandbox, tmp_path: Path) -> None:
    """Neither a valid nor a refused token nor the app secret is printed."""
    valid, refused = doctor(host, tmp_path), doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="refused-token")

    for result in (valid.command, refused.command):
        assert not [
            secret for secret in (host.token, host.secret, "refused-token") if secret in result.out + result.err
        ]


def test_api_v12(host: RunningSandbox, tmp_path: Path) -> None:
    """With TIKTOK_API_VERSION=v1.2 all checks use the paths of v1.2, and faults are reported as in v1.3."""
    result = doctor(host, tmp_path, TIKTOK_API_VERSION="v1.2")

    assert {result.states[check] for check in CHECKS.keys() - NOT_SET - NOT_CHECKED} == {"ok"}
    assert {entry["version"] for entry in host.state.requests} == {"v1.2"}
    assert "reports/integrated/get" in list_paths(host)

    host.state.switches.no_scope_for = ["campaign/get"]
    assert "campaign/get" in doctor(host, tmp_path, TIKTOK_API_VERSION="v1.2").faults["entities"]


def test_unsupported_alert_url_is_reported_by_position(host: RunningSandbox, tmp_path: Path) -> None:
    """The fault has the position of an unsupported URL and no part of the URL, which is a secret."""
    result = doctor(
        host, tmp_path, TIKTOK_ALERT_URLS="json://127.0.0.1:9/a,nosuch://s3cr3tpw@host,slack://s3cr3tpw"
    )

    assert set(result.faults) == {"alerts"}
    assert "URLs 2, 3 of TIKTOK_ALERT_URLS" in result.faults["alerts"]
    assert "s3cr3tpw" not in result.command.out + result.command.err


def test_destinations_are_opened(host: RunningSandbox, tmp_path: Path) -> None:
    """A destination that can be opened is ok; one that cannot is named without its password, beside the others."""
    file = str(tmp_path / "published.duckdb")
    assert (
        doctor(host, tmp_path, TIKTOK_DESTINATIONS="duckdb", TIKTOK_DUCKDB_FILE=file).states["destinations"]
        == "ok"
    )
    away = doctor(
        host,
        tmp_path,
        TIKTOK_DESTINATIONS="duckdb,postgres",
        TIKTOK_DUCKDB_FILE=file,
        TIKTOK_POSTGRES_URL="postgresql://reporting:s3cr3tpw@127.0.0.1:9/warehouse",
    )
    assert set(away.faults) == {"destinations"}
    assert "postgres" in away.faults["destinations"]
    assert "s3cr3tpw" not in away.command.out + away.command.err
    missing = doctor(host, tmp_path, TIKTOK_DESTINATIONS="duckdb")
    assert "needs TIKTOK_DUCKDB_FILE" in missing.faults["destinations"]


def test_scaling_campaign_that_cannot_be_used(host: RunningSandbox, tmp_path: Path) -> None:
    """An unknown or deleted scaling campaign, or one of an account without grant, is a fault."""
    owners = [one for one in host.world.advertisers.values() if one.granted and one.campaigns][:2]
    first, second = (one.id for one in owners)
    good, deleted = (one.campaigns[0] for one in owners)
    assert doctor(host, tmp_path, TIKTOK_SCALING_CAMPAIGNS=f"{first}:{good.id}").states["scaling"] == "ok"

    deleted.deleted = deleted.created
    host.world.version += 1
    result = doctor(host, tmp_path, TIKTOK_SCALING_CAMPAIGNS=f"{first}:12345,{second}:{deleted.id},77:1")
    assert set(result.faults) == {"scaling"}
    for part in (
        f"{first} has no campaign 12345",
        f"campaign {deleted.id} is deleted",
        "account 77 cannot be read",
    ):
        assert part in result.faults["scaling"]


def test_identities_for_duplications(host: RunningSandbox, tmp_path: Path) -> None:
    """A missing permission for identities, or a configured identity that is unknown or cannot post, is a fault."""
    owner = next(one for one in host.world.advertisers.values() if one.granted and one.campaigns)
    campaign = {"TIKTOK_SCALING_CAMPAIGNS": f"{owner.id}:{owner.campaigns[0].id}"}

    def identity(number: int, kind: str = "TT_USER") -> dict[str, str]:
        return {"TIKTOK_SCALING_IDENTITY": f"{owner.id}:{kind}:{int(owner.id) + number}"}

    assert doctor(host, tmp_path, **campaign).states["copies"] == "ok"
    assert doctor(host, tmp_path, **identity(1)).states["copies"] == "ok"
    assert "copies" not in doctor(host, tmp_path, TIKTOK_SCALING_IDENTITY="77:TT_USER:1").faults
    for number in (99, 5, 6):
        result = doctor(host, tmp_path, **campaign, **identity(number))
        assert set(result.faults) == {"copies"}
        assert f"identity {int(owner.id) + number} " in result.faults["copies"]
        assert "TIKTOK_SCALING_IDENTITY" in result.faults["copies"]
    host.state.switches.no_scope_for = ["identity/get"]
    result = doctor(host, tmp_path, **campaign)
    assert set(result.faults) == {"copies"}
    for part in ("identity/get", "Creative Management", "tiktok-assets auth"):
        assert part in result.faults["copies"]


NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)


def record(instance: dg.DagsterInstance, number: int, minutes: float, *, is_complete: bool = True) -> None:
    """Record the runs of a refresh with this duration; an incomplete one has no run of its checks."""
    for job in ("refresh_accounts", *([CHECK_TABLES_JOB] if is_complete else [])):
        run = dg.DagsterRun(job, make_new_run_id(), tags={REFRESH_TAG: (NOW + timedelta(days=number)).isoformat()})
        instance.add_run(run)
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
        ended = datetime.now(UTC) + timedelta(minutes=minutes)
        instance.run_storage.handle_run_event(run.run_id, event, ended)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of an existing Dagster instance."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return folder


@pytest.mark.slow
def test_cron_interval_shorter_than_a_refresh(tmp_path: Path, home: Path) -> None:
    """The cron interval is compared with the median duration of the last five complete refreshes."""
    with open_sandbox() as host:
        assert schedule_state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            record(instance, 0, 500, is_complete=False)
        assert schedule_state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for number, minutes in enumerate(
                (999, 999, 999, 14, 13, 700, 15, 14)
            ):  # the first are too old to count
                record(instance, number + 1, minutes)
        assert schedule_state(host, tmp_path, home, "30 12 * * *") == "ok"
        result = doctor(host, tmp_path, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON="*/10 * * * *")
        assert set(result.faults) == {"schedule"}
        assert result.faults["schedule"] == (
            "a refresh takes about 14 minutes, and TIKTOK_REFRESH_CRON, '*/10 * * * *', fires after 10 minutes:"
            " ticks in between are skipped Choose a longer interval, such as '30 12 * * *'."
        )


def schedule_state(host: RunningSandbox, folder: Path, home: Path, cron: str) -> str:
    """Return the state of the check `schedule`."""
    return doctor(host, folder, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON=cron).states["schedule"]


def test_instance_that_cannot_be_read(tmp_path: Path, home: Path) -> None:
    """If the instance cannot be read, the fault names the file that configures its storage."""
    (home / "dagster.yaml").write_text("storage:\n  sqlite:\n    base_dir: /proc/none\n")
    with open_sandbox() as host:
        result = doctor(host, tmp_path, DAGSTER_HOME=str(home))
    assert set(result.faults) == {"schedule"}
    assert str(home / "dagster.yaml") in result.faults["schedule"]


def test_doctor_creates_no_instance(tmp_path: Path) -> None:
    """`doctor` does not create a Dagster instance."""
    with open_sandbox() as host:
        assert doctor(host, tmp_path).states["schedule"] == "not checked"
    assert list(tmp_path.rglob("dagster.yaml")) == []


@given(st.integers(1, 30), st.integers(0, 23))
def test_shortest_interval_of_a_cron(minutes: int, hour: int) -> None:
    """The shortest interval of a cron is that between its two closest ticks, also across the hour or the day."""
    even = find_shortest_interval(f"*/{minutes} * * * *", NOW)
    assert even == timedelta(minutes=min(minutes, 60 % minutes or minutes))
    other = (hour + 7) % 24
    hours = ",".join(map(str, sorted((hour, other))))
    assert find_shortest_interval(f"0 {hours} * * *", NOW) == timedelta(hours=7)
    assert find_shortest_interval("30 12 * * *", NOW) == timedelta(days=1)


def test_usual_refresh_needs_a_recorded_refresh() -> None:
    """An instance without scheduled refreshes has no usual duration; with one it has that one's."""
    with dg.DagsterInstance.ephemeral() as instance:
        assert measure_usual_refresh(instance, load_settings()) is None
        record(instance, 1, 10)
        duration = measure_usual_refresh(instance, load_settings())
        assert duration
        assert timedelta(minutes=10) <= duration < timedelta(minutes=11)
