"""Tests of `doctor --first-contact`: one request for each endpoint, and a report without account data."""

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
from tiktok_assets.spec.report_sources import INTEGRATED
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command

SMALL = WorldPlan(dense=True, advertisers=4, days=6, campaigns=1, ad_groups=2, ads=3)
OPTIONAL = "+campaign_report_hourly,+ad_audience_country_daily"


@pytest.fixture
def host() -> Iterator[RunningSandbox]:
    """A sandbox for one test, which may add faults to it."""
    unlimited = Limits(qps=None, qpm=None)
    with RunningSandbox(SMALL, now=datetime.now(UTC), clock_runs=True, limits=unlimited) as running:
        yield running


def run_first_contact(host: RunningSandbox, folder: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run `doctor --first-contact` against a sandbox, with further environment variables."""
    settings = {**build_variables(host), **variables}
    return run_command("doctor", "--first-contact", *arguments, variables=settings, folder=folder)


def observations(result: CommandResult) -> dict[str, dict[str, object]]:
    """Return the observations of a run with --json by their purpose."""
    return {one["asked_for"]: one for one in json.loads(result.out)["observations"]}


def test_each_endpoint_is_read_once(host: RunningSandbox, tmp_path: Path) -> None:
    """Each list, report and endpoint for duplications gets one GET request, and the sandbox has no difference."""
    result = run_first_contact(host, tmp_path, TIKTOK_REPORTS=OPTIONAL, TIKTOK_SCALING_MODE="propose")
    assert result.exit_code == 0, result.err
    assert "No request was refused." in result.out
    requests = [(one["method"], one["path"]) for one in host.state.requests]
    assert {method for method, _ in requests} == {"GET"}
    reports = load_settings(reports=OPTIONAL).chosen_reports
    counted = {path: sum(one == path for _, one in requests) for _, path in requests}
    # The account without campaigns is tried first.
    assert counted.pop("campaign/get") <= SMALL.advertisers
    assert counted.pop("report/integrated/get") == sum(one.source == INTEGRATED for one in reports)
    assert "smart_plus/material_report/breakdown" in counted
    assert set(counted.values()) == {1}
    assert {"adgroup/quota", "identity/get", "file/video/suggestcover"} < counted.keys()
    report_file = tmp_path / ".tiktok_assets" / REPORT_FILE_NAME
    assert report_file.read_text(encoding="utf-8").strip() == result.out.strip()
    assert not report_file.stat().st_mode & 0o077


def test_report_has_no_account_data(host: RunningSandbox, tmp_path: Path) -> None:
    """The report has no id, name, company, amount, address or token, even if responses are invalid."""
    for path, name in (("campaign/get", "campaign_name"), ("ad/get", "ad_name"), ("adgroup/get", "budget")):
        host.state.faults.declared.append(
            Fault(kind="wrong_value", path=path, field=name, value="Secret Winter Sale 12.345")
        )
    for path in ("advertiser/info", "report/integrated/get"):
        message = "Account 7001234567890 'Secret Winter Sale' of a@b.example has 12.50 left."
        host.state.faults.declared.append(Fault(kind="code", path=path, code=40002, message=message, times=1))
    results = [run_first_contact(host, tmp_path), run_first_contact(host, tmp_path, "--json")]
    world = host.world
    secrets = {host.token, host.secret, host.base_url.partition("//")[2], "Secret Winter Sale", "a@b.example"}
    for owner in world.advertisers.values():
        secrets |= {owner.id, owner.account.name, owner.account.company}
        for one in (*owner.campaigns, *owner.ads):
            secrets |= {one.id, one.name}
    for result in results:
        text = (
            result.out + result.err + (tmp_path / ".tiktok_assets" / REPORT_FILE_NAME).read_text(encoding="utf-8")
        )
        assert [word for word in secrets if word and word in text] == []
        text = text.replace(platform.python_version(), "").replace("40002", "")
        assert re.findall(r"\d+\.\d{2,}|\d{5,}", text) == []


@pytest.mark.slow
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
def test_difference_is_reported(
    host: RunningSandbox, tmp_path: Path, fault: Fault, table: str, difference: tuple[str, object]
) -> None:
    """An undocumented field or value is reported with its shape; the exit code stays 0."""
    host.state.faults.declared.append(fault)
    result = run_first_contact(host, tmp_path, "--json")
    assert result.exit_code == 0, result.err
    seen = observations(result)[table]
    kind, expected = difference
    assert seen["outcome"] == "differs"
    assert seen[kind] == expected


def test_refused_endpoint_is_reported(host: RunningSandbox, tmp_path: Path) -> None:
    """A refused endpoint is reported with its code and fix, the others are still read; the exit code is 1."""
    host.state.switches.no_scope_for = ["adgroup/get"]
    result = run_first_contact(host, tmp_path)
    assert result.exit_code == 1
    (line,) = re.findall(r"- ad_groups \(adgroup/get/, 40001\): .*", result.out)
    assert "Select Ads Management" in line
    assert re.search(r"\| ad/get/ \| ads \| as expected \|", result.out)
    assert "1 of the requests were refused by this host" in result.err


def test_without_app_an_account_must_be_chosen(host: RunningSandbox, tmp_path: Path) -> None:
    """Without an app the message names the settings to set; an account chosen with --advertiser is enough."""
    without = {"TIKTOK_APP_ID": "", "TIKTOK_APP_SECRET": ""}
    result = run_first_contact(host, tmp_path, **without)
    assert result.exit_code == 1
    assert "choose one with --advertiser" in result.err
    advertiser_id = next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)
    result = run_first_contact(host, tmp_path, "--json", "--advertiser", advertiser_id, **without)
    assert result.exit_code == 0, result.err
    assert observations(result)["finding accounts"]["outcome"] == "not asked"
    result = run_command("doctor", "--advertiser", advertiser_id, variables=build_variables(host), folder=tmp_path)
    assert (result.exit_code, "--first-contact" in result.err) == (2, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JSON)
def test_shape_does_not_show_the_value(value: object) -> None:
    """The shape of any value has fixed words and a count only."""
    shape = describe_shape(value)
    plain = r"null|true or false|object|empty text|list of \d|(text of a )?(whole number|number with \d+ decimals)"
    assert re.fullmatch(rf"{plain}|text of \d+ characters", shape)
    assert isinstance(value, str | Decimal | int) or len(shape) < 30


@given(st.text(max_size=50), st.integers(10**5, 10**20), st.decimals(0, 10**6, places=2))
def test_masked_message_has_no_numbers(text: str, number: int, amount: Decimal) -> None:
    """Ids and amounts are removed from any message."""
    masked = mask_message(f"{text} {number} {amount} '{text} x'")
    assert str(number) not in masked
    assert str(amount) not in masked
