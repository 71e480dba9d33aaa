"""`doctor` against the sandbox, each of its faults asked for by name."""

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
from tiktok_assets.defs.schedules import REFRESH_TAG, find_shortest_interval, measure_usual_refresh
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.api.conftest import Listener
from tiktok_assets_tests.cli.conftest import Ran, run_command, variables_of

UNSET = {"alerts", "pinned", "scaling", "copies"}
"""What the variables of a host name nothing for."""

UNKNOWN = {"schedule"}
"""What nobody knows before the first refresh."""

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)


@contextmanager
def present_day(limits: Limits | None = None) -> Iterator[RunningSandbox]:
    """A small world whose clock is ours."""
    free = limits or Limits(qps=None, qpm=None)
    with RunningSandbox(SMALL, now=datetime.now(UTC), clock_runs=True, limits=free) as running:
        yield running


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A world of its own for each test, so that it may be broken."""
    with present_day() as running:
        yield running


@dataclass(frozen=True)
class Told:
    """What `doctor` said: its run, the state of each check, and of each fault the words."""

    ran: Ran
    states: Mapping[str, str]
    faults: Mapping[str, str]


def doctor(host: RunningSandbox, folder: Path, **variables: str) -> Told:
    """Run `doctor --json` with the variables of a host and these."""
    ran = run_command("doctor", "--json", variables={**variables_of(host), **variables}, folder=folder)
    assert "Traceback" not in ran.err
    rows = json.loads(ran.out)
    assert list(CHECKS) == [row["check"] for row in rows]
    faults = {row["check"]: f"{row['fault']} {row['mend']}" for row in rows if row["state"] == "fault"}
    assert (1 if faults else 0) == ran.exit_code, ran
    return Told(ran, {row["check"]: row["state"] for row in rows}, faults)


def granted(host: RunningSandbox) -> list[str]:
    """The accounts granted to the app."""
    return sorted(one.id for one in host.world.advertisers.values() if one.granted)


def paths_asked(host: RunningSandbox) -> list[str]:
    """The endpoints asked so far."""
    return [entry["path"] for entry in host.state.requests]


def test_a_sound_setup_is_well_in_every_check(host: RunningSandbox, tmp_path: Path) -> None:
    """With everything right each check of what is set is ok, for seven requests, and the exit code is 0."""
    told = doctor(host, tmp_path)
    lines = run_command("doctor", variables=variables_of(host), folder=tmp_path)

    expected = dict.fromkeys(UNSET, "not set") | dict.fromkeys(UNKNOWN, "not checked")
    assert told.states == {check: expected.get(check, "ok") for check in CHECKS}
    assert len(paths_asked(host)) == 14
    assert lines.exit_code == 0
    assert len(CHECKS) == len(lines.out.splitlines())
    assert all(line.startswith(("ok ", "not set ", "not checked ")) for line in lines.out.splitlines())


def test_settings_that_cannot_be_used_are_named(host: RunningSandbox, tmp_path: Path) -> None:
    """A wrong setting is named with its mend, and nothing is asked of the host."""
    told = doctor(host, tmp_path, TIKTOK_LOOKBACK_DAYS="week")

    assert set(told.faults) == {"settings"}
    assert "TIKTOK_LOOKBACK_DAYS" in told.faults["settings"]
    assert paths_asked(host) == []


def test_no_token_is_told_with_what_the_host_shows(host: RunningSandbox, tmp_path: Path) -> None:
    """Without a token that is the one fault named; folders, host and clock are checked all the same."""
    told = doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="")

    assert set(told.faults) == {"token"}
    assert "tiktok-assets auth" in told.faults["token"]
    assert [told.states[check] for check in ("store", "state", "host", "clock")] == ["ok"] * 4


def test_a_token_that_cannot_be_sent_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """A token with blanks inside is a fault of the token."""
    assert "blanks" in doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="a b").faults["token"]


def test_a_revoked_token_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """A wrong or revoked token is told apart from a missing one, after one request."""
    host.state.auth.revoke(host.token)
    told = doctor(host, tmp_path)

    assert set(told.faults) == {"accepted"}
    assert "revoked" in told.faults["accepted"]
    assert len(paths_asked(host)) == 1


def test_a_token_of_another_app_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """A good token of another app is a fault of app and token, not of the token alone."""
    told = doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN=host.world.other_token)

    assert set(told.faults) == {"app"}
    assert "TIKTOK_APP_ID" in told.faults["app"]
    assert told.states["accepted"] == "ok"


def test_a_wrong_secret_is_told_and_pinned_accounts_are_read_on(host: RunningSandbox, tmp_path: Path) -> None:
    """A wrong app secret does not keep the named accounts from being checked."""
    pinned = granted(host)[0]
    told = doctor(host, tmp_path, TIKTOK_APP_SECRET="wrong-secret", TIKTOK_ADVERTISER_IDS=pinned)

    assert set(told.faults) == {"app"}
    assert "wrong-secret" not in told.ran.out + told.ran.err
    assert [told.states[check] for check in ("entities", "reports", "details")] == ["ok"] * 3


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
def test_a_missing_permission_is_named(host: RunningSandbox, tmp_path: Path, path: str, check: str) -> None:
    """A permission the token lacks is the one fault, with the endpoint it is needed for."""
    host.state.switches.no_scope_for = [path]
    told = doctor(host, tmp_path)

    assert set(told.faults) == {check}
    assert path in told.faults[check]
    assert "permission" in told.faults[check]


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
def test_an_endpoint_refused_alone_is_a_permission(
    host: RunningSandbox, tmp_path: Path, path: str, check: str, permission: str, *, pinned: bool
) -> None:
    """A bare 40001 of one endpoint alone names the endpoint, its permission and how to ask for it."""
    message = f"The advertiser does not grant you /{path}/:GET permission."
    host.state.faults.declared.append(Fault(kind="code", path=path, code=40001, times=None, message=message))
    told = doctor(host, tmp_path, **({"TIKTOK_ADVERTISER_IDS": ",".join(granted(host))} if pinned else {}))

    assert set(told.faults) == {check}
    for part in (path, permission, "app's page", "tiktok-assets auth"):
        assert part in told.faults[check]


def test_every_refused_endpoint_of_a_check_is_named(host: RunningSandbox, tmp_path: Path) -> None:
    """Two permissions that are missing are two names in one finding."""
    host.state.switches.no_scope_for = ["campaign/get", "ad/get"]
    told = doctor(host, tmp_path)

    assert set(told.faults) == {"entities"}
    assert "campaign/get/; the token lacks the permission for ad/get/" in told.faults["entities"]


@pytest.mark.parametrize(
    ("path", "unasked"),
    [
        ("oauth2/advertiser/get", {"accepted", "app", "accounts", "entities", "reports", "details"}),
        ("campaign/get", {"entities", "reports", "details"}),
        ("adgroup/get", {"entities", "reports", "details"}),
        ("report/integrated/get", {"reports", "details"}),
    ],
)
def test_nothing_is_ok_that_was_not_asked(
    host: RunningSandbox, tmp_path: Path, path: str, unasked: set[str]
) -> None:
    """Where the app is held back half way, what was not asked is said to be not checked."""
    fault = {"kind": "code", "path": path, "code": 40100, "times": None, "message": "App 7 is restricted."}
    host.state.faults.declared.append(_fault(fault))
    told = doctor(host, tmp_path)

    assert {told.states[check] for check in unasked} == {"not checked"}


def test_details_are_asked_for_even_where_they_are_stored(host: RunningSandbox, tmp_path: Path) -> None:
    """A refresh reads them each time: settings that know zone and currency do not hide that it cannot."""
    one = granted(host)[0]
    known = {"TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo", "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY"}
    host.state.switches.no_scope_for = ["advertiser/info"]
    told = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one, **known)

    assert set(told.faults) == {"details"}
    assert "Ad Account Management" in told.faults["details"]


def test_no_account_granted_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """An app without accounts is told from one with a wrong token."""
    for advertiser in host.world.advertisers.values():
        advertiser.granted = False
    told = doctor(host, tmp_path)

    assert set(told.faults) == {"accounts"}
    assert "no ad account is granted" in told.faults["accounts"]


def test_each_pinned_account_without_grant_is_named(host: RunningSandbox, tmp_path: Path) -> None:
    """Of the accounts named in the settings each one that is not granted is told; the others are checked."""
    good = granted(host)[0]
    told = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=f"7001,{good},7002")

    assert set(told.faults) == {"pinned"}
    assert "7001, 7002" in told.faults["pinned"]
    assert good not in told.faults["pinned"]
    assert told.states["details"] == "ok"


def test_without_app_and_accounts_the_way_out_is_told(host: RunningSandbox, tmp_path: Path) -> None:
    """Without app id, secret and named accounts nothing can be read, and both mends are told."""
    told = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="")

    assert set(told.faults) == {"accounts"}
    assert "TIKTOK_ADVERTISER_IDS" in told.faults["accounts"]


def test_named_accounts_need_no_app(host: RunningSandbox, tmp_path: Path) -> None:
    """With the accounts named, app id and secret are not needed; one without grant is told."""
    good = granted(host)[0]
    well = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="", TIKTOK_ADVERTISER_IDS=good)
    told = doctor(host, tmp_path, TIKTOK_APP_ID="", TIKTOK_APP_SECRET="", TIKTOK_ADVERTISER_IDS=f"7001,{good}")

    assert well.faults == {}
    assert well.states["app"] == "not checked"
    assert set(told.faults) == {"pinned"}
    assert "7001" in told.faults["pinned"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"<html>hello</html>", 200), (b'{"hello": "world"}', 200), (b"<html>lost</html>", 404)]
)
def test_a_host_that_is_no_tiktok_api_is_named(
    host: RunningSandbox, tmp_path: Path, body: bytes, status: int
) -> None:
    """A host that answers as something else is named, with the setting that names it."""
    with Listener(body=body, status=status) as other:
        told = doctor(host, tmp_path, TIKTOK_BASE_URL=other.url)

    assert set(told.faults) == {"host"}
    assert other.url in told.faults["host"]
    assert "TIKTOK_BASE_URL" in told.faults["host"]


def test_a_host_that_does_not_answer_is_named(host: RunningSandbox, tmp_path: Path) -> None:
    """A host nobody answers at is a fault of the host, with a token and without."""
    gone = "http://127.0.0.1:9"
    for variables in ({}, {"TIKTOK_ACCESS_TOKEN": ""}):
        told = doctor(host, tmp_path, TIKTOK_BASE_URL=gone, **variables)

        assert gone in told.faults["host"]
        assert told.states["clock"] == "not checked"


@pytest.mark.parametrize(("minutes", "direction"), [(4, None), (6, "ahead of")])
def test_a_clock_that_is_off_is_told(
    host: RunningSandbox, tmp_path: Path, minutes: int, direction: str | None
) -> None:
    """More than five minutes between our clock and the host's are a fault; less are not."""
    host.clock.set(datetime.now(UTC) - timedelta(minutes=minutes))
    told = doctor(host, tmp_path)

    assert set(told.faults) == ({"clock"} if direction else set())
    assert (direction or "") in told.faults.get("clock", "")
    assert told.states["reports"] == "ok"


@pytest.mark.parametrize("code", [40016, 40100])
@pytest.mark.parametrize("path", ["oauth2/advertiser/get", "campaign/get", "report/integrated/get"])
def test_a_restricted_app_is_told(host: RunningSandbox, tmp_path: Path, code: int, path: str) -> None:
    """An app TikTok lets ask no more is told as that, wherever it shows."""
    fault = {"kind": "code", "path": path, "code": code, "times": None, "message": "App 7 is restricted."}
    host.state.faults.declared.append(_fault(fault))
    told = doctor(host, tmp_path)

    assert set(told.faults) == {"unrestricted"}
    assert str(code) in told.faults["unrestricted"]


def test_a_banned_country_is_told_once(host: RunningSandbox, tmp_path: Path) -> None:
    """TikTok answers no address of the country: that is the one fault, and neither token nor app is blamed."""
    host.state.faults.declared.append(_fault({"kind": "code", "code": 41000, "times": None, "message": "No."}))
    told = doctor(host, tmp_path)

    assert set(told.faults) == {"unrestricted"}
    assert "country" in told.faults["unrestricted"]


def _fault(values: Mapping[str, object]) -> Fault:
    return msgspec.convert(values, Fault)


@pytest.mark.parametrize(
    ("variable", "check"), [("TIKTOK_DATA_DIR", "store"), ("TIKTOK_STATE_DIR", "state"), ("DAGSTER_HOME", "state")]
)
def test_a_folder_that_cannot_be_written_is_named(
    host: RunningSandbox, tmp_path: Path, variable: str, check: str
) -> None:
    """A folder that cannot be written is named with its variable, and everything else is checked."""
    (tmp_path / "a_file").write_text("")
    told = doctor(host, tmp_path, **{variable: str(tmp_path / "a_file" / "below")})

    assert set(told.faults) == {check}
    assert variable in told.faults[check]
    assert told.states["details"] == "ok"


def test_tiktoks_own_sandbox_is_well_once_its_accounts_are_told(tmp_path: Path) -> None:
    """On a host that lists no accounts and tells no details, the settings that stand in for both are asked for."""
    with present_day() as host:
        host.state.switches.tiktok_sandbox = True
        one = granted(host)[0]
        told = {"TIKTOK_ACCOUNT_TIMEZONE": f"{one}:Asia/Tokyo", "TIKTOK_ACCOUNT_CURRENCY": f"{one}:JPY"}
        unnamed = doctor(host, tmp_path)
        without = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one)
        well = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=one, **told)
        foreign = doctor(host, tmp_path, TIKTOK_ADVERTISER_IDS=f"{one},7001", **told)

    assert set(unnamed.faults) == {"accounts"}
    assert set(without.faults) == {"details"}
    assert (
        f"TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY, as advertiser_id:value, for each of: {one}"
        in (without.faults["details"])
    )
    assert well.faults == {}
    assert set(foreign.faults) == {"pinned"}
    assert "7001" in foreign.faults["pinned"]


def test_the_token_is_never_shown(host: RunningSandbox, tmp_path: Path) -> None:
    """Neither a good nor a refused token, nor the secret, is part of what is said."""
    good, refused = doctor(host, tmp_path), doctor(host, tmp_path, TIKTOK_ACCESS_TOKEN="refused-token")

    for ran in (good.ran, refused.ran):
        assert not [secret for secret in (host.token, host.secret, "refused-token") if secret in ran.out + ran.err]


def test_v12_is_examined_in_its_own_words(host: RunningSandbox, tmp_path: Path) -> None:
    """With TIKTOK_API_VERSION=v1.2 every check is made at the paths of v1.2, and a refusal is told as in v1.3."""
    told = doctor(host, tmp_path, TIKTOK_API_VERSION="v1.2")

    assert {told.states[check] for check in CHECKS.keys() - UNSET - UNKNOWN} == {"ok"}
    assert {entry["version"] for entry in host.state.requests} == {"v1.2"}
    assert "reports/integrated/get" in paths_asked(host)

    host.state.switches.no_scope_for = ["campaign/get"]
    assert "campaign/get" in doctor(host, tmp_path, TIKTOK_API_VERSION="v1.2").faults["entities"]


def test_a_receiver_apprise_does_not_understand_is_named_by_its_place(
    host: RunningSandbox, tmp_path: Path
) -> None:
    """Its place in the list is told and nothing of the URL, which is a secret; nothing is sent to the others."""
    told = doctor(host, tmp_path, TIKTOK_ALERT_URLS="json://127.0.0.1:9/a,nosuch://s3cr3tpw@host,slack://s3cr3tpw")

    assert set(told.faults) == {"alerts"}
    assert "URLs 2, 3 of TIKTOK_ALERT_URLS" in told.faults["alerts"]
    assert "s3cr3tpw" not in told.ran.out + told.ran.err


def test_a_scaling_campaign_that_is_not_there_is_named(host: RunningSandbox, tmp_path: Path) -> None:
    """Unknown, deleted, or of an account nobody granted: each is told; one that is there is well."""
    owners = [one for one in host.world.advertisers.values() if one.granted and one.campaigns][:2]
    first, second = (one.id for one in owners)
    good, deleted = (one.campaigns[0] for one in owners)
    assert doctor(host, tmp_path, TIKTOK_SCALING_CAMPAIGNS=f"{first}:{good.id}").states["scaling"] == "ok"

    deleted.deleted = deleted.created
    host.world.version += 1
    told = doctor(host, tmp_path, TIKTOK_SCALING_CAMPAIGNS=f"{first}:12345,{second}:{deleted.id},77:1")
    assert set(told.faults) == {"scaling"}
    for part in (f"{first} has no campaign 12345", f"campaign {deleted.id} is deleted", "account 77 is not among"):
        assert part in told.faults["scaling"]


def test_what_copies_look_up_is_tried(host: RunningSandbox, tmp_path: Path) -> None:
    """The permission for identities, and an identity of the settings that is gone, cannot post or is political."""
    owner = next(one for one in host.world.advertisers.values() if one.granted and one.campaigns)
    campaign = {"TIKTOK_SCALING_CAMPAIGNS": f"{owner.id}:{owner.campaigns[0].id}"}

    def identity(number: int, kind: str = "TT_USER") -> dict[str, str]:
        return {"TIKTOK_SCALING_IDENTITY": f"{owner.id}:{kind}:{int(owner.id) + number}"}

    assert doctor(host, tmp_path, **campaign).states["copies"] == "ok"
    assert doctor(host, tmp_path, **identity(1)).states["copies"] == "ok"
    assert "copies" not in doctor(host, tmp_path, TIKTOK_SCALING_IDENTITY="77:TT_USER:1").faults
    for number in (99, 5, 6):
        told = doctor(host, tmp_path, **campaign, **identity(number))
        assert set(told.faults) == {"copies"}
        assert f"identity {int(owner.id) + number} " in told.faults["copies"]
        assert "TIKTOK_SCALING_IDENTITY" in told.faults["copies"]
    host.state.switches.no_scope_for = ["identity/get"]
    told = doctor(host, tmp_path, **campaign)
    assert set(told.faults) == {"copies"}
    for part in ("identity/get", "Creative Management", "tiktok-assets auth"):
        assert part in told.faults["copies"]


NOW = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)


def record(instance: dg.DagsterInstance, number: int, minutes: float, *, whole: bool = True) -> None:
    """Note a refresh that took so long; one that is not whole never came to its checks."""
    for job in ("refresh_accounts", *([CHECK_TABLES_JOB] if whole else [])):
        run = dg.DagsterRun(job, make_new_run_id(), tags={REFRESH_TAG: (NOW + timedelta(days=number)).isoformat()})
        instance.add_run(run)
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
        ended = datetime.now(UTC) + timedelta(minutes=minutes)
        instance.run_storage.handle_run_event(run.run_id, event, ended)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of an instance that exists."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return folder


def test_a_cron_that_is_too_short_is_told_with_both_times(tmp_path: Path, home: Path) -> None:
    """Not before a refresh is whole; then it is ok or a fault, by the middle one of the last five."""
    with present_day() as host:
        assert state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            record(instance, 0, 500, whole=False)
        assert state(host, tmp_path, home, "*/10 * * * *") == "not checked"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for number, minutes in enumerate((999, 999, 999, 14, 13, 700, 15, 14)):  # the first are long ago
                record(instance, number + 1, minutes)
        assert state(host, tmp_path, home, "30 12 * * *") == "ok"
        told = doctor(host, tmp_path, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON="*/10 * * * *")
        assert set(told.faults) == {"schedule"}
        assert told.faults["schedule"] == (
            "a refresh takes about 14 minutes, and TIKTOK_REFRESH_CRON, '*/10 * * * *', fires after 10 minutes:"
            " ticks between are skipped Choose a longer one, such as '30 12 * * *'."
        )


def state(host: RunningSandbox, folder: Path, home: Path, cron: str) -> str:
    """What becomes of the check."""
    return doctor(host, folder, DAGSTER_HOME=str(home), TIKTOK_REFRESH_CRON=cron).states["schedule"]


def test_an_instance_that_cannot_be_read_is_a_fault(tmp_path: Path, home: Path) -> None:
    """One sentence names the file that says where its storage is."""
    (home / "dagster.yaml").write_text("storage:\n  sqlite:\n    base_dir: /proc/none\n")
    with present_day() as host:
        told = doctor(host, tmp_path, DAGSTER_HOME=str(home))
    assert set(told.faults) == {"schedule"}
    assert str(home / "dagster.yaml") in told.faults["schedule"]


def test_without_an_instance_none_is_made(tmp_path: Path) -> None:
    """Looking does not create what `dev` would."""
    with present_day() as host:
        assert doctor(host, tmp_path).states["schedule"] == "not checked"
    assert list(tmp_path.rglob("dagster.yaml")) == []


@given(st.integers(1, 30), st.integers(0, 23))
def test_the_shortest_pause_of_a_cron(minutes: int, hour: int) -> None:
    """Of even ticks it is their distance, within an hour; of two ticks a day the shorter way between them."""
    even = find_shortest_interval(f"*/{minutes} * * * *", NOW)
    assert even == timedelta(minutes=min(minutes, 60 % minutes or minutes))
    other = (hour + 7) % 24
    hours = ",".join(map(str, sorted((hour, other))))
    assert find_shortest_interval(f"0 {hours} * * *", NOW) == timedelta(hours=7)
    assert find_shortest_interval("30 12 * * *", NOW) == timedelta(days=1)


def test_no_refresh_has_no_duration() -> None:
    """An instance without runs of a schedule knows nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        assert measure_usual_refresh(instance) is None
        record(instance, 1, 10)
        found = measure_usual_refresh(instance)
        assert found
        assert timedelta(minutes=10) <= found < timedelta(minutes=11)
