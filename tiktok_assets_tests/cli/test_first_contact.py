"""Laws of `doctor --first-contact`: it reads once, names every difference, and shows nobody's names or amounts."""

import json
import platform
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.cli.first_contact import REPORT_FILE_NAME
from tiktok_assets.cli.first_contact_report import describe_shape, mask_message
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.settings import load_settings
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)
OPTIONAL = "+campaign_report_hourly,+ad_audience_country_daily"


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A world of its own for each test, so that it may be broken."""
    free = Limits(qps=None, qpm=None)
    with RunningSandbox(SMALL, now=datetime.now(UTC), clock_runs=True, limits=free) as running:
        yield running


def contact(host: RunningSandbox, folder: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run `doctor --first-contact`."""
    settings = {**build_variables(host), **variables}
    return run_command("doctor", "--first-contact", *arguments, variables=settings, folder=folder)


def observations(ran: CommandResult) -> dict[str, dict[str, object]]:
    """The observations of a run with --json, by what was asked for."""
    return {one["asked_for"]: one for one in json.loads(ran.out)["observations"]}


def test_each_thing_is_read_once(host: RunningSandbox, tmp_path: Path) -> None:
    """Lists, reports and what copies need are each asked once, by GET, and all in the sandbox is as expected."""
    ran = contact(host, tmp_path, TIKTOK_REPORTS=OPTIONAL, TIKTOK_SCALING_MODE="propose")
    assert ran.exit_code == 0, ran.err
    assert "Nothing that was asked is refused." in ran.out
    asked = [(one["method"], one["path"]) for one in host.state.requests]
    assert {method for method, _ in asked} == {"GET"}
    reports = len(load_settings(reports=OPTIONAL).chosen_reports)
    counted = {path: sum(one == path for _, one in asked) for _, path in asked}
    # The account without campaigns is looked at, and passed over.
    assert counted.pop("campaign/get") <= SMALL.advertisers
    assert counted.pop("report/integrated/get") == reports
    assert set(counted.values()) == {1}
    assert {"adgroup/quota", "identity/get", "file/video/suggestcover"} < counted.keys()
    kept = tmp_path / ".tiktok_assets" / REPORT_FILE_NAME
    assert kept.read_text(encoding="utf-8").strip() == ran.out.strip()
    assert not kept.stat().st_mode & 0o077


def test_nothing_of_the_account_is_shown(host: RunningSandbox, tmp_path: Path) -> None:
    """Neither ids nor names, companies, amounts, addresses or the token are in the report, broken or not."""
    for path, name in (("campaign/get", "campaign_name"), ("ad/get", "ad_name"), ("adgroup/get", "budget")):
        host.state.faults.declared.append(
            Fault(kind="wrong_value", path=path, field=name, value="Secret Winter Sale 12.345")
        )
    for path in ("advertiser/info", "report/integrated/get"):
        message = "Account 7001234567890 'Secret Winter Sale' of a@b.example has 12.50 left."
        host.state.faults.declared.append(Fault(kind="code", path=path, code=40002, message=message, times=1))
    ran = [contact(host, tmp_path), contact(host, tmp_path, "--json")]
    world = host.world
    secret = {host.token, host.secret, host.base_url.partition("//")[2], "Secret Winter Sale", "a@b.example"}
    for owner in world.advertisers.values():
        secret |= {owner.id, owner.account.name, owner.account.company}
        for one in (*owner.campaigns, *owner.ads):
            secret |= {one.id, one.name}
    for run in ran:
        told = run.out + run.err + (tmp_path / ".tiktok_assets" / REPORT_FILE_NAME).read_text(encoding="utf-8")
        assert [word for word in secret if word and word in told] == []
        told = told.replace(platform.python_version(), "").replace("40002", "")
        assert re.findall(r"\d+\.\d{2,}|\d{5,}", told) == []


@pytest.mark.parametrize(
    ("fault", "table", "difference"),
    [
        (Fault(kind="new_field", path="ad/get", field="shiny_thing"), "ads", ("undocumented", ["shiny_thing"])),
        (
            Fault(kind="wrong_value", path="campaign/get", field="budget", value="much", times=None),
            "campaigns",
            ("misfits", {"budget": {"text of 4 characters": 1}}),
        ),
        (
            Fault(kind="wrong_value", path="adgroup/get", field="gender", value="GENDER_NEW"),
            "ad_groups",
            ("new_values", {"gender": ["GENDER_NEW"]}),
        ),
        (
            Fault(kind="wrong_value", path="adgroup/get", field="gender", value="Ann's own"),
            "ad_groups",
            ("new_values", {"gender": ["text of 9 characters"]}),
        ),
    ],
)
def test_each_difference_is_named(
    host: RunningSandbox, tmp_path: Path, fault: Fault, table: str, difference: tuple[str, object]
) -> None:
    """A field, a value or a word that nobody documents is named with its shape, and the exit code stays 0."""
    host.state.faults.declared.append(fault)
    ran = contact(host, tmp_path, "--json")
    assert ran.exit_code == 0, ran.err
    seen = observations(ran)[table]
    kind, expected = difference
    assert seen["outcome"] == "differs"
    assert seen[kind] == expected


def test_what_is_refused_will_not_work(host: RunningSandbox, tmp_path: Path) -> None:
    """A refused endpoint is told with its code and what to do, the others are asked all the same; exit code 1."""
    host.state.switches.no_scope_for = ["adgroup/get"]
    ran = contact(host, tmp_path)
    assert ran.exit_code == 1
    (line,) = re.findall(r"- ad_groups \(adgroup/get/, 40001\): .*", ran.out)
    assert "Tick Ads Management" in line
    assert re.search(r"\| ad/get/ \| ads \| as expected \|", ran.out)
    assert "1 of the things asked for do not work here" in ran.err


def test_without_app_or_account_it_says_what_to_set(host: RunningSandbox, tmp_path: Path) -> None:
    """Where no account can be found one sentence says what to set; a named account is enough."""
    without = {"TIKTOK_APP_ID": "", "TIKTOK_APP_SECRET": ""}
    ran = contact(host, tmp_path, **without)
    assert ran.exit_code == 1
    assert "name one with --advertiser" in ran.err
    named = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
    ran = contact(host, tmp_path, "--json", "--advertiser", named, **without)
    assert ran.exit_code == 0, ran.err
    assert observations(ran)["finding accounts"]["outcome"] == "not asked"
    ran = run_command("doctor", "--advertiser", named, variables=build_variables(host), folder=tmp_path)
    assert (ran.exit_code, "--first-contact" in ran.err) == (2, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JSON)
def test_a_shape_shows_no_value(value: object) -> None:
    """Whatever a field holds, its shape is made of our words and a small count."""
    told = describe_shape(value)
    plain = r"null|true or false|object|empty text|list of \d|(text of a )?(whole number|number with \d+ decimals)"
    assert re.fullmatch(rf"{plain}|text of \d+ characters", told)
    assert isinstance(value, str | Decimal | int) or len(told) < 30


@given(st.text(max_size=50), st.integers(10**5, 10**20), st.decimals(0, 10**6, places=2))
def test_a_message_keeps_no_numbers_or_quotes(text: str, number: int, amount: Decimal) -> None:
    """Ids and amounts are taken out of any message, wherever they stand."""
    told = mask_message(f"{text} {number} {amount} '{text} x'")
    assert str(number) not in told
    assert str(amount) not in told
