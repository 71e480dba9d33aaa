"""Test that every command and example of the documentation exists and runs as written."""

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
import duckdb
import httpx
import polars as pl
import pytest
from jinja2 import Template
from typer.main import get_command

from tiktok_assets.cli.commands import app
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets_tests.cli.conftest import CommandResult, run_command
from tiktok_assets_tests.environment import clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GENERATED_PAGES = {"commands.md"}
PAGES = [
    ROOT / "README.md",
    *(one for one in (ROOT / "docs").glob("*.md") if one.name not in GENERATED_PAGES),
]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?:^|[\s/])tiktok-assets +([^`\n]+)", re.MULTILINE)
INLINE = re.compile(r"`(?:[^`\n]*/)?tiktok-assets +([^`\n]+)`")

TESTED_BY = {
    "make demo": "end_to_end/test_demo.py::test_served_demo_runs_a_backfill",
    "make test": "end_to_end/test_documents.py::test_make_runs_what_the_readme_says",
    "python3 -m venv .venv": "end_to_end/test_documents.py::test_make_runs_what_the_readme_says",
    ".venv/bin/pip install --constraint constraints.txt --editable '.[dev]'": (
        "end_to_end/test_documents.py::test_make_runs_what_the_readme_says"
    ),
    ".venv/bin/pytest": "end_to_end/test_documents.py::test_make_runs_what_the_readme_says",
    ".venv/bin/tiktok-assets demo": "end_to_end/test_demo.py::test_served_demo_runs_a_backfill",
    "tiktok-assets demo": "end_to_end/test_demo.py::test_served_demo_runs_a_backfill",
    "tiktok-assets demo --once": (
        "end_to_end/test_demo.py::test_demo_prints_its_scenario_and_connects_to_no_other_host"
    ),
    "tiktok-assets duplicate": "cli/test_duplicate.py::test_dry_run_live_run_and_status",
    "tiktok-assets sandbox": "end_to_end/test_documents.py::test_sandbox_prints_its_address_as_json",
    "tiktok-assets top": "cli/test_commands.py::test_plan_counts_the_requests_of_sync",
    "tiktok-assets overview": "cli/test_overview.py::test_page_is_built_without_a_host",
    "tiktok-assets --install-completion": "end_to_end/test_documents.py::test_shell_completion",
}
"""The commands of the README outside its five steps, and the tests that run them."""


def find_code_blocks(text: str, *languages: str) -> list[str]:
    """Find the fenced code blocks of a page in these languages."""
    return [body for language, body in FENCE.findall(text) if language in languages]


def find_calls(page: Path) -> set[str]:
    """Find what a page has after `tiktok-assets`."""
    text = page.read_text(encoding="utf-8")
    found = [call for body in find_code_blocks(text, "sh", "ini", "") for call in CALL.findall(body)]
    return {one.strip() for one in [*found, *INLINE.findall(text)]}


def parse(call: str) -> None:
    """Parse a command line without running it.

    Raises:
        click.UsageError: If there is no such command, option or argument.
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
    with suppress(click.exceptions.NoArgsIsHelpError):  # a group without a command shows its help
        command.make_context(call, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documented_commands_exist(page: Path) -> None:
    """Every documented call of `tiktok-assets` has a command, options and arguments that exist."""
    for call in sorted(find_calls(page)):
        try:
            parse(call)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: tiktok-assets {call}: {error.message}")


def find_shell_lines(text: str) -> list[str]:
    """Find the commands in shell blocks, one per line, without variable assignments."""
    lines = [line.strip() for body in find_code_blocks(text, "sh") for line in body.splitlines()]
    return [line for line in lines if line and not re.match(r"[A-Z_]+=", line)]


def five_steps() -> str:
    """Return the section of the README with the five steps to use an account."""
    return README[README.index("## Use your own accounts") : README.index("## Then")]


def test_every_command_of_the_readme_is_run() -> None:
    """Each command of the README is one of the five steps, or is run by an existing test of the table."""
    walked = set(find_shell_lines(five_steps()))
    mentioned = {f"tiktok-assets {call}" for call in INLINE.findall(README)} | set(find_shell_lines(README))
    left = [
        one
        for one in mentioned - walked
        if one not in TESTED_BY
        and " ".join(one.split()[:2]) not in {*TESTED_BY, *(" ".join(w.split()[:2]) for w in walked)}
    ]
    assert left == []
    for place in TESTED_BY.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / "tiktok_assets_tests" / file).read_text(encoding="utf-8"), place


def test_make_runs_what_the_readme_says() -> None:
    """`make demo` runs the demo, `make test` lint, types and the suite, as the commands of the README do."""
    commands = {
        target: subprocess.run(  # noqa: S603
            ["make", "--dry-run", "--always-make", target],  # noqa: S607 - its path differs between systems
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for target in ("demo", "test")
    }
    assert "exec .venv/bin/tiktok-assets demo" in commands["demo"]
    for line in ("ruff check .", "ruff format --check .", ".venv/bin/mypy", ".venv/bin/pytest"):
        assert line in commands["test"]
    for line in find_shell_lines(README):
        if line.startswith(("python3 ", ".venv/bin/pip ")):
            assert set(shlex.split(line)[1:]) <= set(shlex.split(commands["test"])), line


@pytest.fixture(scope="module")
def host() -> Iterator[RunningSandbox]:
    """Run a world of one account without rate limits."""
    now = datetime.now(UTC)
    plan = WorldPlan(anchor=now.replace(minute=0, second=0, microsecond=0), advertisers=1)
    with RunningSandbox(plan, now=now, clock_runs=True, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture(scope="module")
def folder(host: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the five steps were run, up to `dev`."""
    here = tmp_path_factory.mktemp("walk")
    (env,) = [body for body in find_code_blocks(five_steps(), "sh") if "TIKTOK_APP_ID=" in body]
    given = {"TIKTOK_APP_ID": host.app_id, "TIKTOK_APP_SECRET": host.secret}
    names = [line.strip().removesuffix("=...") for line in env.splitlines()]
    (here / ".env").write_text("".join(f"{name}={given[name]}\n" for name in names))
    (here / ".env").chmod(0o600)
    for line in find_shell_lines(five_steps()):
        if line != "tiktok-assets dev":
            result = run_line(host, here, line)
            assert result.exit_code == 0, f"{line}\n{result.out}\n{result.err}"
            assert "\x1b" not in result.out + result.err
    return here


def run_line(host: RunningSandbox, here: Path, line: str) -> CommandResult:
    """Run a line of the README, with the URL that a browser would show."""
    words = shlex.split(line)[1:]
    if len(words) > 1 and "auth_code=" in words[1]:
        (pending,) = json.loads((here / ".tiktok_assets" / "oauth_state.json").read_bytes())
        ticked = httpx.post(f"{host.base_url}/sandbox/auth_codes", json={"state": pending})
        words[1] = ticked.json()["redirected_url"]
    return run_command(*words, variables={"TIKTOK_BASE_URL": host.base_url, "TIKTOK_QPS": "1000"}, folder=here)


@pytest.mark.slow
def test_five_steps_of_the_readme_store_tables(folder: Path, host: RunningSandbox) -> None:
    """With an app id and secret, the lines of the README get a token, pass every check and rank the ads."""
    assert "TIKTOK_ACCESS_TOKEN=" in (folder / ".env").read_text()
    assert run_line(host, folder, "tiktok-assets top").out.count("│") > 8
    assert (folder / "data/account_overview.html").stat().st_size > 100_000


@pytest.mark.slow
def test_dev_serves_until_interrupted(folder: Path) -> None:
    """`dev` of the last step serves on loopback, and ends when it is interrupted."""
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


@pytest.mark.slow
def test_example_project_runs(folder: Path) -> None:
    """`project.py` of the documentation sums the stored table by month."""
    (code,) = [
        body
        for body in find_code_blocks((ROOT / "docs/own_project.md").read_text(encoding="utf-8"), "python")
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


@pytest.mark.slow
def test_dbt_models_of_the_example_sum_the_stored_spend(folder: Path) -> None:
    """Each model runs on the stored tables without dbt, and sums the spend of the table it reads first."""
    models = sorted((ROOT / "examples/dbt_project/dbt/models").glob("*.sql"))
    assert len(models) == 3
    for model in models:
        read: list[str] = []

        def find_table(_: str, table: str, read: list[str] = read) -> str:
            read.append(f"read_parquet('{folder}/data/{table}/**/*.parquet', hive_partitioning = false)")
            return read[-1]

        query = Template(model.read_text(encoding="utf-8")).render(source=find_table)
        (built,) = duckdb.execute(f"select sum(spend) from ({query})").fetchall()  # noqa: S608 - our own files
        (stored,) = duckdb.execute(f"select sum(spend) from {read[0]}").fetchall()  # noqa: S608 - the same
        assert built == stored > (0,), model.name


def test_example_of_a_sandbox_in_tests_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python example of docs/sandbox.md starts a sandbox and prints its address."""
    (code,) = find_code_blocks((ROOT / "docs/sandbox.md").read_text(encoding="utf-8"), "python")
    exec(compile(code, "docs/sandbox.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_sandbox_prints_its_address_as_json(tmp_path: Path) -> None:
    """`sandbox --json` prints one document with its address and a token as soon as it serves."""
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


def test_shell_completion(tmp_path: Path) -> None:
    """`--install-completion` installs a completion that offers commands and those of a group."""
    program = Path(sys.executable).with_name("tiktok-assets")
    # Without a shell to detect, Typer takes the one that is named.
    at_home = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    completion = {
        "_TIKTOK_ASSETS_COMPLETE": "complete_bash",
        "COMP_WORDS": "tiktok-assets get ad",
        "COMP_CWORD": "2",
    }
    outputs = [
        subprocess.run(  # noqa: S603 - our own program
            [program, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        ).stdout
        for words, env in ((["--install-completion", "bash"], at_home), ([], {**os.environ, **completion}))
    ]

    assert "completion installed" in outputs[0]
    assert "tiktok-assets" in (tmp_path / ".bash_completions/tiktok-assets.sh").read_text()
    assert set(outputs[1].split()) == {"advertisers", "ad-groups", "ads"}
