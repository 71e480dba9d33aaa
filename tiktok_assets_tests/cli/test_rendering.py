"""Laws of names on a terminal: whatever an advertiser or TikTok writes is read, and nothing of it is obeyed."""

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
from io import StringIO
from pathlib import Path

import pyte
import pytest
from hypothesis import example, given, settings
from rich.console import Console

import tiktok_assets
from tiktok_assets.cli.rendering import format_cell, print_csv, print_rows
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, build_variables, run_command
from tiktok_assets_tests.environment import clean_environment
from tiktok_assets_tests.hostile_names import ALL_FRAGMENTS, FRAGMENT_NAMES, FRAGMENTS, HOSTILE_NAMES, control_characters_in, visible_text

SMALL = WorldPlan(dense=True, advertisers=2, days=6, campaigns=1, ad_groups=2, ads=6)
STARTS = ("=", "-", "+", "@", "\t", "\r", "")
HOSTILE = tuple(one for one in FRAGMENTS if one.strip() == one)


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """A small world whose campaigns, ad groups and ads have the names of `HOSTILE`, in turn."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as running:
        for owner in running.world.advertisers.values():
            groups = [group for campaign in owner.campaigns for group in campaign.ad_groups]
            ads = [ad for group in groups for ad in group.ads]
            for number, one in enumerate([*owner.campaigns, *groups, *ads]):
                middle, end = HOSTILE[number % len(HOSTILE)], HOSTILE[-1 - number % len(HOSTILE)]
                one.name = f"{STARTS[number % len(STARTS)]}{middle} {end}"
        running.world.version += 1
        yield running


def granted(host: RunningSandbox) -> str:
    """An account with ads."""
    return next(one.id for one in host.world.advertisers.values() if one.granted and one.campaigns)


def ad_names(host: RunningSandbox) -> set[str]:
    """The names of its ads."""
    (owner,) = [one for one in host.world.advertisers.values() if one.id == granted(host)]
    return {ad.name for campaign in owner.campaigns for group in campaign.ad_groups for ad in group.ads}


def run(host: RunningSandbox, folder: Path, *arguments: str) -> CommandResult:
    """Run a command on that account; no control character may come out of it, but line ends."""
    named = {"TIKTOK_ADVERTISER_IDS": granted(host)}
    ran = run_command(*arguments, variables={**build_variables(host), **named}, folder=folder)
    assert "Traceback" not in ran.err
    assert control_characters_in(ran.out + ran.err, allowed="\n") == set()
    return ran


def seen(drawn: str, *, columns: int = 400) -> str:
    """What a terminal shows of it."""
    screen = pyte.Screen(columns, 60)
    pyte.Stream(screen).feed(drawn.replace("\n", "\r\n"))
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


@settings(max_examples=150, deadline=None)
@example(ALL_FRAGMENTS)
@given(HOSTILE_NAMES)
def test_a_name_in_a_table_is_text(name: str) -> None:
    """In a table and in blocks, as a heading and as a cell, a name is read as it is."""
    for width in (3000, 30):
        shown = io.StringIO()
        console = Console(file=shown, width=width, force_terminal=True, no_color=True, color_system=None)
        print_rows([{"ad_id": "1", "ad_name": name}], ("ad_id", "ad_name"), title="Ads", console=console)
        drawn = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())  # bold heads, which are ours
        assert control_characters_in(drawn, allowed="\n") == set()
        letters = "".join(re.sub(r"[\u2500-\u257f]", " ", drawn).split())
        assert "".join(re.sub(r"[\u2500-\u257f]", " ", escape_control_characters(name)).split()) in letters


@settings(max_examples=50, deadline=None)
@given(FRAGMENT_NAMES)
def test_a_terminal_shows_the_name_and_obeys_nothing(name: str) -> None:
    """A terminal with its escape sequences, titles and links shows the table, its lines before and the name."""
    shown = io.StringIO()
    console = Console(file=shown, width=390, force_terminal=True)
    print_rows([{"ad_id": "1", "ad_name": name}], ("ad_id", "ad_name"), console=console)
    screen = seen(f"before\n{shown.getvalue()}after\n")
    assert screen.startswith("before\n")
    assert screen.endswith("\nafter")
    assert len(screen.splitlines()) == 7
    assert visible_text(escape_control_characters(name)) in visible_text(screen)


@pytest.mark.parametrize("command", [("get", "ads"), ("get", "report", "--lifetime"), ("top", "--live")])
def test_every_table_shows_the_names(host: RunningSandbox, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each command that prints a table prints every name as text."""
    ran = run(host, tmp_path, *command)
    assert ran.exit_code == 0, ran.err
    names = {visible_text(escape_control_characters(name)) for name in ad_names(host)}
    shown = visible_text(ran.out)
    assert sum(name in shown for name in names) >= (1 if command[0] == "top" else len(names))


def test_json_is_exact(host: RunningSandbox, tmp_path: Path) -> None:
    """What a program reads is the name itself, although no control character stands in the document."""
    rows = json.loads(run(host, tmp_path, "get", "ads", "--json").out)
    assert {row["ad_name"] for row in rows} == ad_names(host)


def test_csv_runs_nothing_in_a_spreadsheet(host: RunningSandbox, tmp_path: Path) -> None:
    """With --csv no text begins as a formula does, numbers stay numbers, and --raw gives the names themselves."""
    variables = {**build_variables(host), "TIKTOK_ADVERTISER_IDS": granted(host)}
    for command in (("get", "ads"), ("get", "report", "--lifetime"), ("top", "--live")):
        quoted, raw = (
            list(
                csv.DictReader(io.StringIO(_exact(*command, "--csv", *more, folder=tmp_path, variables=variables)))
            )
            for more in ((), ("--raw",))
        )
        assert not [cell for row in quoted for cell in row.values() if cell.startswith(tuple("=+-@\t\r"))]
        assert {row["ad_name"] for row in raw} <= ad_names(host)
        assert [row["ad_name"].removeprefix("'") for row in quoted] == [
            row["ad_name"].removeprefix("'") for row in raw
        ]
    assert {name[0] for name in ad_names(host)} & set("=-+@\t\r")
    ran = run(host, tmp_path, "get", "ads", "--raw")
    assert (ran.exit_code, "--raw is about --csv" in ran.err) == (2, True)


def _exact(*arguments: str, folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tiktok_assets", *arguments],
        cwd=folder,
        env=clean_environment(variables),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


@settings(deadline=None)
@given(HOSTILE_NAMES.filter(lambda name: max(name) < "\ud800" or max(name) > "\udfff"))
def test_a_csv_cell_comes_back(name: str) -> None:
    """A csv reader gets the name, with at most a quote before it; a negative amount is a number."""
    for raw in (False, True):
        written = io.StringIO(newline="")
        with redirect_stdout(written):
            print_csv(
                [{"ad_name": name, "balance": Decimal("-1.50"), "n": -2}], ("ad_name", "balance", "n"), raw=raw
            )
        _, (cell, *numbers) = csv.reader(io.StringIO(written.getvalue(), newline=""))
        assert numbers == ["-1.50", "-2"]
        assert cell in ({name} if raw else {name, f"'{name}"})
        assert raw or not cell.startswith(tuple("=+-@\t\r"))


def test_csv_on_a_terminal_obeys_nothing(host: RunningSandbox, tmp_path: Path) -> None:
    """A terminal gets the control characters of a name as their escapes, even in CSV."""
    ours, theirs = pty.openpty()
    variables = {**build_variables(host), "TIKTOK_ADVERTISER_IDS": granted(host)}
    with subprocess.Popen(
        [sys.executable, "-m", "tiktok_assets", "get", "ads", "--csv"],
        cwd=tmp_path,
        env=clean_environment(variables),
        stdout=theirs,
    ):
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # the other end is closed
            os.close(ours)
    assert control_characters_in(shown.decode(), allowed="\r\n") == set()


@pytest.mark.parametrize("command", [("doctor",), ("doctor", "--json"), ("plan",), ("get", "ads"), ("sync",)])
def test_what_tiktok_says_is_text(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A refusal that holds escape sequences, markup and line ends is one line of an error, a check or a log."""
    with RunningSandbox(SMALL, now=datetime.now(UTC), limits=Limits(qps=None, qpm=None)) as host:
        fault = Fault(kind="code", path="ad/get", code=40002, times=None, message=ALL_FRAGMENTS)
        host.state.faults.declared.append(fault)
        ran = run(host, tmp_path, *command, *(("--select", "ads") if command == ("sync",) else ()))
    assert ran.exit_code == 1
    told = json.loads(ran.out) if command[-1] == "--json" else ran.out + ran.err
    assert visible_text(escape_control_characters(ALL_FRAGMENTS)) in visible_text(str(told).replace("\\\\", "\\"))
    assert "\nok           the token is accepted one" not in ran.out


def test_one_module_speaks_to_the_terminal() -> None:
    """Nothing else in the package prints, so that nothing can be printed around the escapes."""
    home = Path(str(tiktok_assets.__file__)).parent
    speaks = re.compile(r"typer\.(?:echo|secho)|(?<![\w.])print\(|console\.print|std(?:out|err)\.write")
    speakers = {
        path.relative_to(home).as_posix()
        for path in home.rglob("*.py")
        if speaks.search(path.read_text(encoding="utf-8")) and "sandbox" not in path.parts
    }
    assert speakers == {"cli/output.py", "cli/rendering.py", "cli/progress.py"}


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1602310.0000", "JPY", "1,602,310"),
        ("1602310.5000", "JPY", "1,602,310.50"),  # what was stored is never hidden
        ("6789.0100", "EUR", "6,789.01"),
        ("0.0123", "USD", "0.0123"),
        ("7.0000", "", "7.00"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(amount: str, currency: str, shown: str) -> None:
    """Yen have no cents; digits that are there are shown."""
    assert format_cell(Decimal(amount), currency) == shown


ROWS = [
    {"ad_id": "1874007355959231", "ad_name": "POV first try | v1", "spend": Decimal("6916.44"), "share": 0.386},
    {"ad_id": "1881705031931946", "ad_name": "Unboxing UGC | v4", "spend": Decimal("1276.59"), "share": 0.532},
]


@pytest.mark.parametrize(("width", "is_table"), [(120, True), (60, True), (44, False), (30, False)])
def test_a_narrow_terminal_breaks_no_id_and_loses_no_name(width: int, *, is_table: bool) -> None:
    """Rows stand in a table where it fits, else in blocks; ids, amounts and every word of a name are there."""
    shown = StringIO()
    print_rows(ROWS, list(ROWS[0]), console=Console(file=shown, width=width, force_terminal=True))
    told = shown.getvalue()
    assert all(word in told for word in ("1874007355959231", "6,916.44", "39%", "Unboxing", "first", "v4"))
    assert ("\N{BOX DRAWINGS LIGHT VERTICAL}" in told) == is_table


def test_a_pipe_gets_no_colours_and_nothing_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """However long a name, its row is one line, without the codes of a terminal."""
    print_rows([ROWS[0] | {"ad_name": "word " * 60}], list(ROWS[0]), title="Ads")
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert any(line.count("word") == 60 for line in told.splitlines())
