"""Tests of printed tables, JSON and CSV: hostile names are shown as text and control nothing."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyte
import pytest
from hypothesis import example, given, settings
from rich.console import Console

import tiktok_assets
from tiktok_assets.cli.rendering import format_cell, print_csv, print_rows
from tiktok_assets.creatives.watch_rates import add_watch_rates
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command
from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.hostile_names import (
    ALL_FRAGMENTS,
    FRAGMENT_NAMES,
    FRAGMENTS,
    HOSTILE_NAMES,
    control_characters_in,
    visible_text,
)

SMALL = WorldPlan(dense=True, advertisers=2, days=6, campaigns=1, ad_groups=2, ads=6)
FORMULA_STARTS = ("=", "-", "+", "@", "\t", "\r", "")
HOSTILE_FRAGMENTS = tuple(one for one in FRAGMENTS if one.strip() == one)


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """A small sandbox whose campaigns, ad groups and ads have hostile names."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        for owner in running.world.advertisers.values():
            groups = [group for campaign in owner.campaigns for group in campaign.ad_groups]
            ads = [ad for group in groups for ad in group.ads]
            for number, one in enumerate([*owner.campaigns, *groups, *ads]):
                middle, end = (
                    HOSTILE_FRAGMENTS[number % len(HOSTILE_FRAGMENTS)],
                    HOSTILE_FRAGMENTS[-1 - number % len(HOSTILE_FRAGMENTS)],
                )
                one.name = f"{FORMULA_STARTS[number % len(FORMULA_STARTS)]}{middle} {end}"
        running.world.version += 1
        yield running


def find_account(host: RunningSandbox) -> str:
    """Return the id of a granted account with ads."""
    return next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)


def list_ad_names(host: RunningSandbox) -> set[str]:
    """Return the names of the ads of that account."""
    (owner,) = [one for one in host.world.advertisers.values() if one.id == find_account(host)]
    return {ad.name for campaign in owner.campaigns for group in campaign.ad_groups for ad in group.ads}


def run(host: RunningSandbox, folder: Path, *arguments: str) -> CommandResult:
    """Run a command for that account and check that its output has no control character except line breaks."""
    account = {"TIKTOK_ADVERTISER_IDS": find_account(host)}
    result = run_command(*arguments, variables={**build_variables(host), **account}, folder=folder)
    assert "Traceback" not in result.err
    assert control_characters_in(result.out + result.err, allowed="\n") == set()
    return result


def render_on_terminal(output: str, *, columns: int = 400) -> str:
    """Return the text that a terminal shows for an output."""
    screen = pyte.Screen(columns, 60)
    pyte.Stream(screen).feed(output.replace("\n", "\r\n"))
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


@settings(max_examples=150, deadline=None)
@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_name_in_a_table(name: str) -> None:
    """A name is shown as it is in tables and in blocks, without control characters."""
    for width in (3000, 30):
        output = io.StringIO()
        console = Console(file=output, width=width, force_terminal=True, no_color=True, color_system=None)
        print_rows([{"ad_id": "1", "ad_name": name}], ("ad_id", "ad_name"), title="Ads", console=console)
        text = re.sub(r"\x1b\[[0-9;]*m", "", output.getvalue())  # without the styles of the table itself
        assert control_characters_in(text, allowed="\n") == set()
        characters = "".join(re.sub(r"[\u2500-\u257f]", " ", text).split())
        assert "".join(re.sub(r"[\u2500-\u257f]", " ", escape_control_characters(name)).split()) in characters


@settings(max_examples=50, deadline=None)
@given(FRAGMENT_NAMES)
def test_name_does_not_control_the_terminal(name: str) -> None:
    """A terminal shows the table with the name, and the lines before and after it are not changed."""
    output = io.StringIO()
    console = Console(file=output, width=390, force_terminal=True)
    print_rows([{"ad_id": "1", "ad_name": name}], ("ad_id", "ad_name"), console=console)
    screen = render_on_terminal(f"before\n{output.getvalue()}after\n")
    assert screen.startswith("before\n")
    assert screen.endswith("\nafter")
    assert len(screen.splitlines()) == 7
    assert visible_text(escape_control_characters(name)) in visible_text(screen)


@pytest.mark.parametrize("command", [("get", "ads"), ("get", "report", "--lifetime"), ("top", "--live")])
def test_commands_print_names_as_text(host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each command that prints a table prints all names as text."""
    result = run(host, tmp_path, *command)
    assert result.exit_code == 0, result.err
    names = {visible_text(escape_control_characters(name)) for name in list_ad_names(host)}
    output = visible_text(result.out)
    assert sum(name in output for name in names) >= (1 if command[0] == "top" else len(names))


def test_json_has_exact_names(host: RunningSandbox, tmp_path: Path) -> None:
    """JSON has the exact names, although the document has no control characters."""
    rows = json.loads(run(host, tmp_path, "get", "ads", "--json").out)
    assert {row["ad_name"] for row in rows} == list_ad_names(host)


@pytest.mark.slow
def test_csv_has_no_formulas(host: RunningSandbox, tmp_path: Path) -> None:
    """With --csv no text starts like a formula, and with --raw names are exact."""
    variables = {**build_variables(host), "TIKTOK_ADVERTISER_IDS": find_account(host)}
    for command in (("get", "ads"), ("get", "report", "--lifetime"), ("top", "--live")):
        quoted, raw = (
            list(
                csv.DictReader(
                    io.StringIO(_run_raw(*command, "--csv", *more, folder=tmp_path, variables=variables))
                )
            )
            for more in ((), ("--raw",))
        )
        assert not [cell for row in quoted for cell in row.values() if cell.startswith(tuple("=+-@\t\r"))]
        assert {row["ad_name"] for row in raw} <= list_ad_names(host)
        assert [row["ad_name"].removeprefix("'") for row in quoted] == [
            row["ad_name"].removeprefix("'") for row in raw
        ]
    assert {name[0] for name in list_ad_names(host)} & set("=-+@\t\r")
    result = run(host, tmp_path, "get", "ads", "--raw")
    assert (result.exit_code, "--raw needs --csv" in result.err) == (2, True)


def _run_raw(*arguments: str, folder: Path, variables: dict[str, str]) -> str:
    """Run a command and return its standard output without newline translation."""
    completed = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tiktok_assets", *arguments],
        cwd=folder,
        env=clean_environment(variables),
        capture_output=True,
        check=True,
    )
    return completed.stdout.decode()


@settings(deadline=None)
@given(HOSTILE_NAMES.filter(lambda name: max(name) < "\ud800" or max(name) > "\udfff"))
def test_csv_cell_round_trip(name: str) -> None:
    """A CSV reader gets the name, with at most a quote before it, and negative numbers without a quote."""
    for raw in (False, True):
        output = io.StringIO(newline="")
        with redirect_stdout(output):
            print_csv(
                [{"ad_name": name, "balance": Decimal("-1.50"), "n": -2}], ("ad_name", "balance", "n"), raw=raw
            )
        _, (cell, *numbers) = csv.reader(io.StringIO(output.getvalue(), newline=""))
        assert numbers == ["-1.50", "-2"]
        assert cell in ({name} if raw else {name, f"'{name}"})
        assert raw or not cell.startswith(tuple("=+-@\t\r"))


def test_csv_on_a_terminal_is_escaped(host: RunningSandbox, tmp_path: Path) -> None:
    """On a terminal, control characters in CSV are escaped."""
    terminal, process_side = pty.openpty()
    variables = {**build_variables(host), "TIKTOK_ADVERTISER_IDS": find_account(host)}
    with subprocess.Popen(
        [sys.executable, "-m", "tiktok_assets", "get", "ads", "--csv"],
        cwd=tmp_path,
        env=clean_environment(variables),
        stdout=process_side,
    ):
        os.close(process_side)
        output = b""
        try:
            while part := os.read(terminal, 65_536):
                output += part
        except OSError:  # the process has closed its side
            os.close(terminal)
    assert control_characters_in(output.decode(), allowed="\r\n") == set()


@pytest.mark.slow
@pytest.mark.parametrize("command", [("doctor",), ("doctor", "--json"), ("plan",), ("get", "ads"), ("sync",)])
def test_error_message_of_tiktok_is_escaped(tmp_path: Path, command: tuple[str, ...]) -> None:
    """An API error with escape sequences, markup and line breaks is printed as one line of text."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as host:
        fault = Fault(kind="code", path="ad/get", code=40002, times=None, message=ALL_FRAGMENTS)
        host.state.faults.declared.append(fault)
        result = run(host, tmp_path, *command, *(("--select", "ads") if command == ("sync",) else ()))
    assert result.exit_code == 1
    output = json.loads(result.out) if command[-1] == "--json" else result.out + result.err
    assert visible_text(escape_control_characters(ALL_FRAGMENTS)) in visible_text(
        str(output).replace("\\\\", "\\")
    )
    assert "\nok           the token is accepted one" not in result.out


def test_only_cli_modules_print() -> None:
    """Only three modules print to the terminal, so that all output is escaped; sandboxes print JSON."""
    package = Path(str(tiktok_assets.__file__)).parent
    print_calls = re.compile(r"typer\.(?:echo|secho)|(?<![\w.])print\(|console\.print|std(?:out|err)\.write")
    printing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if print_calls.search(path.read_text(encoding="utf-8"))
        if "sandbox" not in path.parts and path.name != "sandbox_process.py"
    }
    assert printing == {"cli/output.py", "cli/rendering.py", "cli/progress.py"}


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1602310.0000", "JPY", "1,602,310"),
        ("1602310.5000", "JPY", "1,602,310.50"),  # stored decimals are never hidden
        ("6789.0100", "EUR", "6,789.01"),
        ("0.0123", "USD", "0.0123"),
        ("7.0000", "", "7.00"),
    ],
)
def test_amount_has_the_decimals_of_its_currency(amount: str, currency: str, shown: str) -> None:
    """Amounts in yen have no decimals unless they are stored."""
    assert format_cell(Decimal(amount), currency) == shown


ROWS = [
    {"ad_id": "1874007355959231", "ad_name": "POV first try | v1", "spend": Decimal("6916.44"), "share": 0.386},
    {"ad_id": "1881705031931946", "ad_name": "Unboxing UGC | v4", "spend": Decimal("1276.59"), "share": 0.532},
]


@pytest.mark.parametrize(("width", "is_table"), [(120, True), (60, True), (44, False), (30, False)])
def test_narrow_terminal(width: int, *, is_table: bool) -> None:
    """Rows are printed as a table if it fits, else as blocks; ids, amounts and the words of names are complete."""
    output = io.StringIO()
    print_rows(ROWS, list(ROWS[0]), console=Console(file=output, width=width, force_terminal=True))
    text = output.getvalue()
    assert all(word in text for word in ("1874007355959231", "6,916.44", "39%", "Unboxing", "first", "v4"))
    assert ("\N{BOX DRAWINGS LIGHT VERTICAL}" in text) == is_table


def test_pipe_gets_unbroken_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe each row is one line without escape sequences, however long a name is."""
    print_rows([ROWS[0] | {"ad_name": "word " * 60}], list(ROWS[0]), title="Ads")
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert any(line.count("word") == 60 for line in output.splitlines())


def test_watch_rates_without_their_metrics_are_null() -> None:
    """Hook and hold rate are null without views of videos, over zero, and for an ad without a row."""
    keys = {"advertiser_id": ["1", "1", "1"], "ad_id": ["7", "8", "9"], "currency": ["EUR"] * 3}
    ads = pl.DataFrame({**keys, "impressions": [200, 0, None], "video_watched_2s": [50, 0, 5]})
    leaders = pl.DataFrame({**keys, "ad_id": ["9", "7", "8"]})
    rated = add_watch_rates(leaders, ads)
    assert rated.get_column("ad_id").to_list() == ["9", "7", "8"]
    assert rated.get_column("hook_rate").to_list() == [None, 25.0, None]
    assert rated.get_column("hold_rate").to_list() == [None, None, None]
    unknown = add_watch_rates(leaders, ads.drop("impressions", "video_watched_2s").clear())
    assert unknown.select("hook_rate", "hold_rate").null_count().row(0) == (3, 3)
