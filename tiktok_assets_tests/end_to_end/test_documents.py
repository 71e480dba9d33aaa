"""Every command and example of the documents: it exists, and it runs as written."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
import httpx
import polars as pl
import pytest
from typer.main import get_command

from tiktok_assets.cli.commands import app
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, run_command
from tiktok_assets_tests.environment import clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WRITTEN_BY_THE_PROGRAM = {"commands.md"}
PAGES = [
    ROOT / "README.md",
    *(one for one in (ROOT / "docs").glob("*.md") if one.name not in WRITTEN_BY_THE_PROGRAM),
]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?:^|[\s/])tiktok-assets +([^`\n]+)", re.MULTILINE)
INLINE = re.compile(r"`(?:[^`\n]*/)?tiktok-assets +([^`\n]+)`")

RUN_BY = {
    "make demo": "end_to_end/test_demo.py::test_the_served_demo_can_be_used_and_leaves_nothing",
    "make test": "end_to_end/test_documents.py::test_the_two_commands_do_what_the_readme_says",
    "python3 -m venv .venv": "end_to_end/test_documents.py::test_the_two_commands_do_what_the_readme_says",
    ".venv/bin/pip install --constraint constraints.txt --editable '.[dev]'": (
        "end_to_end/test_documents.py::test_the_two_commands_do_what_the_readme_says"
    ),
    ".venv/bin/pytest": "end_to_end/test_documents.py::test_the_two_commands_do_what_the_readme_says",
    ".venv/bin/tiktok-assets demo": "end_to_end/test_demo.py::test_the_served_demo_can_be_used_and_leaves_nothing",
    "tiktok-assets demo": "end_to_end/test_demo.py::test_the_served_demo_can_be_used_and_leaves_nothing",
    "tiktok-assets demo --once": (
        "end_to_end/test_demo.py::test_the_demo_tells_its_story_and_speaks_to_no_one_else"
    ),
    "tiktok-assets duplicate": "cli/test_duplicate.py::test_shown_sent_and_told",
    "tiktok-assets sandbox": "end_to_end/test_documents.py::test_the_sandbox_tells_a_program_where_it_is",
    "tiktok-assets top": "cli/test_commands.py::test_sync_stores_what_plan_foresaw_and_top_ranks_it",
    "tiktok-assets overview": "cli/test_overview.py::test_the_page_is_made_without_a_host",
    "tiktok-assets --install-completion": "end_to_end/test_documents.py::test_the_shell_completes",
}
"""What the walk through the five steps does not run itself, and the test that does."""


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    return [body for language, body in FENCE.findall(text) if language in languages]


def calls(page: Path) -> set[str]:
    """What a page tells people to type after `tiktok-assets`."""
    text = page.read_text(encoding="utf-8")
    found = [call for body in blocks(text, "sh", "ini", "") for call in CALL.findall(body)]
    return {one.strip() for one in [*found, *INLINE.findall(text)]}


def parse(call: str) -> None:
    """Let the program read a call without running it.

    Raises:
        click.UsageError: if there is no such command, option or argument.
    """
    command, words = get_command(app), shlex.split(call, comments=True)
    if words[0].startswith("-"):
        assert words[0] in {option for parameter in command.params for option in parameter.opts}, call
        return
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        if name not in command.commands:
            raise click.UsageError(f"no command {name}")
        command = command.commands[name]
    with suppress(click.exceptions.NoArgsIsHelpError):  # the group by itself shows its help
        command.make_context(call, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_people_are_told_to_type_is_understood(page: Path) -> None:
    """Every call of `tiktok-assets` in a document has a command, options and arguments that exist."""
    for call in sorted(calls(page)):
        try:
            parse(call)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: tiktok-assets {call}: {error.message}")


def lines_of(text: str) -> list[str]:
    """The commands of the shell blocks, one a line, without variables."""
    lines = [line.strip() for body in blocks(text, "sh") for line in body.splitlines()]
    return [line for line in lines if line and not re.match(r"[A-Z_]+=", line)]


def steps() -> str:
    """The README's account in five steps."""
    return README[README.index("## Use your own accounts") : README.index("## Then")]


def test_every_command_of_the_readme_is_run() -> None:
    """Each command of the README is one of the five steps, or is run by the test the table names, which exists."""
    walked = set(lines_of(steps()))
    mentioned = {f"tiktok-assets {call}" for call in INLINE.findall(README)} | set(lines_of(README))
    left = [
        one
        for one in mentioned - walked
        if one not in RUN_BY
        and " ".join(one.split()[:2]) not in {*RUN_BY, *(" ".join(w.split()[:2]) for w in walked)}
    ]
    assert left == []
    for place in RUN_BY.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / "tiktok_assets_tests" / file).read_text(encoding="utf-8"), place


def test_the_two_commands_do_what_the_readme_says() -> None:
    """`make demo` runs the demo; `make test` lint, types and the suite; the plain commands do the same."""
    told = {
        target: subprocess.run(  # noqa: S603
            ["make", "--dry-run", "--always-make", target],  # noqa: S607 - where it lies differs
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for target in ("demo", "test")
    }
    assert "exec .venv/bin/tiktok-assets demo" in told["demo"]
    for line in ("ruff check .", "ruff format --check .", ".venv/bin/mypy", ".venv/bin/pytest"):
        assert line in told["test"]
    for line in lines_of(README):
        if line.startswith(("python3 ", ".venv/bin/pip ")):
            assert set(shlex.split(line)[1:]) <= set(shlex.split(told["test"])), line


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """A small agency without limits."""
    now = datetime.now(UTC)
    plan = WorldPlan(anchor=now.replace(minute=0, second=0, microsecond=0), advertisers=1)
    with RunningSandbox(plan, now=now, clock_runs=True, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture(scope="module")
def folder(host: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the five steps were walked, up to `dev`."""
    here = tmp_path_factory.mktemp("walk")
    (env,) = [body for body in blocks(steps(), "sh") if "TIKTOK_APP_ID=" in body]
    given = {"TIKTOK_APP_ID": host.app_id, "TIKTOK_APP_SECRET": host.secret}
    names = [line.strip().removesuffix("=...") for line in env.splitlines()]
    (here / ".env").write_text("".join(f"{name}={given[name]}\n" for name in names))
    (here / ".env").chmod(0o600)
    for line in lines_of(steps()):
        if line != "tiktok-assets dev":
            ran = walk(host, here, line)
            assert ran.exit_code == 0, f"{line}\n{ran.out}\n{ran.err}"
            assert "\x1b" not in ran.out + ran.err
    return here


def walk(host: RunningSandbox, here: Path, line: str) -> CommandResult:
    """A line as a person types it, with the address a browser would show."""
    words = shlex.split(line)[1:]
    if len(words) > 1 and "auth_code=" in words[1]:
        (pending,) = json.loads((here / ".tiktok_assets" / "oauth_state.json").read_bytes())
        ticked = httpx.post(f"{host.base_url}/sandbox/auth_codes", json={"state": pending})
        words[1] = ticked.json()["redirected_url"]
    return run_command(*words, variables={"TIKTOK_BASE_URL": host.base_url, "TIKTOK_QPS": "1000"}, folder=here)


def test_the_five_steps_end_with_tables(folder: Path, host: RunningSandbox) -> None:
    """From the app's id and secret, the README's lines bring a token, every check well, and ranked ads."""
    assert "TIKTOK_ACCESS_TOKEN=" in (folder / ".env").read_text()
    assert walk(host, folder, "tiktok-assets top").out.count("│") > 8
    assert (folder / "data/account_overview.html").stat().st_size > 100_000


def test_dev_serves_until_it_is_stopped(folder: Path) -> None:
    """The last step's `dev` answers on loopback, and ends when it is interrupted."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with (
        (folder / "dev.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tiktok_assets", "dev", "--port", str(port)],
            cwd=folder,
            env=clean_environment({"TMPDIR": str(folder)}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            deadline, answered = time.monotonic() + 90, False
            while not answered and process.poll() is None and time.monotonic() < deadline:
                try:
                    answered = httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=5).is_success
                except httpx.HTTPError:
                    time.sleep(0.5)
            assert answered, (folder / "dev.log").read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_the_example_of_a_project_of_your_own_runs(folder: Path) -> None:
    """`project.py` of the documents, as it stands, adds up the stored table by month."""
    (code,) = [
        body
        for body in blocks((ROOT / "docs/own_project.md").read_text(encoding="utf-8"), "python")
        if "defs =" in body
    ]
    (folder / "project.py").write_text(code)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dagster",
            "asset",
            "materialize",
            "-f",
            "project.py",
            "--select",
            "spend_by_month",
        ],
        cwd=folder,
        env=clean_environment({"DAGSTER_HOME": str(folder / ".tiktok_assets/dagster")}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = pl.read_csv(folder / "spend_by_month.csv", schema_overrides={"spend": pl.String})
    stored = pl.read_parquet(folder / "data/advertiser_report_daily/*/*/*.parquet")
    assert sum(map(Decimal, written["spend"]), Decimal()) == stored["spend"].sum() > 0


def test_the_example_of_a_sandbox_in_tests_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python of the sandbox's page starts one and prints its address."""
    (code,) = blocks((ROOT / "docs/sandbox.md").read_text(encoding="utf-8"), "python")
    exec(compile(code, "docs/sandbox.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_the_sandbox_tells_a_program_where_it_is(tmp_path: Path) -> None:
    """`sandbox --json` prints one document with its address and a token as soon as it answers."""
    with subprocess.Popen(
        [sys.executable, "-m", "tiktok_assets", "sandbox", "--port", "0", "--advertisers", "1", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line == "}\n":
                    break
            found = re.search(r'"base_url": "([^"]+)"', "".join(lines))
            assert found
            assert httpx.get(f"{found.group(1)}/sandbox/info").is_success
        finally:
            process.terminate()


def test_the_shell_completes(tmp_path: Path) -> None:
    """`--install-completion` installs a completion, which offers commands and those of a group."""
    program = Path(sys.executable).with_name("tiktok-assets")
    # Typer's own switch: nobody's shell is found out here, so it is named.
    at_home = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    asked = {"_TIKTOK_ASSETS_COMPLETE": "complete_bash", "COMP_WORDS": "tiktok-assets get ad", "COMP_CWORD": "2"}
    said = [
        subprocess.run(  # noqa: S603 - our own program
            [program, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        ).stdout
        for words, env in ((["--install-completion", "bash"], at_home), ([], {**os.environ, **asked}))
    ]

    assert "completion installed" in said[0]
    assert "tiktok-assets" in (tmp_path / ".bash_completions/tiktok-assets.sh").read_text()
    assert set(said[1].split()) == {"advertisers", "ad-groups", "ads"}
