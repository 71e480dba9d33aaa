"""Tests of `tiktok-assets publish`: what it prints, its exit codes, and what it says about wrong settings."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from tiktok_assets.cli.commands import app
from tiktok_assets.cli.errors import explain_error
from tiktok_assets.storage.parquet_store import HiveStore, Partition

SECRET = "pw-7f3c0ffee"


class Shell:
    """Runs the command in a folder with some variables.

    Attributes:
        file: of the destination `duckdb`.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "published.duckdb"
        self.store = HiveStore(str(folder / "data"))
        self.variables = {
            "TIKTOK_DATA_DIR": str(folder / "data"),
            "TIKTOK_STATE_DIR": str(folder / "state"),
            "TIKTOK_DESTINATIONS": "duckdb",
            "TIKTOK_DUCKDB_FILE": str(self.file),
        }

    def write(self, rows: int) -> None:
        """Write so many campaigns of one account."""
        frame = pl.DataFrame({"advertiser_id": ["7001"] * rows, "campaign_id": [str(one) for one in range(rows)]})
        self.store.write("campaigns", Partition("7001"), frame)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Return the exit code, what was printed, and the error."""
        result = CliRunner().invoke(app, ["publish", *arguments], env={**self.variables, **variables})
        if isinstance(result.exception, Exception):
            explained = explain_error(result.exception)
            assert explained, result.exception
            return explained[1], result.stdout, explained[0]
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a shell in an empty folder, with one stored partition."""
    monkeypatch.chdir(tmp_path)
    one = Shell(tmp_path)
    one.write(2)
    return one


@pytest.mark.slow
def test_publish_check_and_repair(shell: Shell) -> None:
    """`--check` says what is not published, what was changed by others, and that nothing differs."""
    code, out, error = shell.run("--check")
    assert (code, out) == (
        1,
        "duckdb: campaigns/advertiser_id=7001: 2 rows are stored, 0 are in the destination (not published yet)\n",
    )
    assert error.endswith("run `tiktok-assets publish`.")
    code, out, error = shell.run("--json")
    assert (code, error) == (0, "campaigns: 1 partitions, 2 rows\n")
    (figures,) = json.loads(out)
    assert figures.pop("seconds") >= 0
    assert figures == {"destination": "duckdb", "partitions": 1, "rows": 2, "unchanged": 0, "failures": []}
    assert shell.run("--check")[:2] == (0, "duckdb: every stored partition is published, and nothing differs.\n")
    with duckdb.connect(str(shell.file)) as connection:
        connection.execute("UPDATE tiktok.campaigns SET campaign_id = '9' WHERE campaign_id = '1'")
    code, out, error = shell.run("--check")
    assert code == 1
    assert "duckdb: campaigns/advertiser_id=7001: values of campaign_id differ" in out
    assert "`tiktok-assets publish --repair`" in error
    assert shell.run()[0] == 0
    assert shell.run("--check")[0] == 1
    assert shell.run("--repair")[0] == 0
    assert shell.run("--check")[0] == 0


@pytest.mark.parametrize(
    ("variables", "arguments", "code", "expected"),
    [
        ({"TIKTOK_DESTINATIONS": ""}, (), 2, "no destination is set; name them in TIKTOK_DESTINATIONS"),
        ({"TIKTOK_DESTINATIONS": "duckdb,mysql"}, (), 2, "there is no destination 'mysql'; use postgres, duckdb"),
        ({}, ("--to", "postgres"), 2, "TIKTOK_DESTINATIONS does not name 'postgres', only duckdb."),
        ({}, ("--check", "--repair"), 2, "--check changes nothing"),
        ({"TIKTOK_DESTINATIONS": "postgres"}, (), 1, "the destination postgres needs TIKTOK_POSTGRES_URL"),
        ({"TIKTOK_DESTINATIONS": "delta"}, (), 1, "the destination delta needs TIKTOK_DELTA_URL"),
        ({"TIKTOK_DESTINATIONS": "iceberg"}, (), 1, "the destination iceberg needs TIKTOK_ICEBERG_CATALOG"),
        (
            {"TIKTOK_DESTINATIONS": "iceberg", "TIKTOK_ICEBERG_CATALOG": "sqlite:///c.db"},
            (),
            1,
            "the destination iceberg needs TIKTOK_ICEBERG_WAREHOUSE",
        ),
        ({"TIKTOK_DUCKDB_FILE": "data"}, (), 1, "cannot be used"),
        (
            {
                "TIKTOK_DESTINATIONS": "postgres",
                "TIKTOK_POSTGRES_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/ads",
            },
            ("--check",),
            1,
            "postgres: the server 127.0.0.1:1 cannot be reached",
        ),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    shell: Shell, variables: dict[str, str], arguments: tuple[str, ...], code: int, expected: str
) -> None:
    """A wrong name, a missing setting, a file that is a folder and a server that is away are said in one line."""
    found, _, error = shell.run(*arguments, **variables)
    assert found == code
    assert expected in error
    assert "\n" not in error
    assert SECRET not in error


def test_one_destination_that_is_down_does_not_stop_the_others(shell: Shell) -> None:
    """The others are published, and the exit code says that one failed."""
    code, _, error = shell.run(
        TIKTOK_DESTINATIONS="postgres,duckdb", TIKTOK_POSTGRES_URL=f"postgresql://me:{SECRET}@127.0.0.1:1/ads"
    )
    assert code == 1
    assert "cannot be reached" in error
    with duckdb.connect(str(shell.file)) as connection:
        assert connection.execute("SELECT count(*) FROM tiktok.campaigns").fetchall() == [(2,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("postgres", "psycopg2", "postgres"), ("delta", "deltalake", "delta"), ("iceberg", "pyiceberg", "iceberg")],
)
def test_a_missing_library_is_named_with_its_extra(shell: Shell, name: str, module: str, extra: str) -> None:
    """Without the library one sentence names the extra to install."""
    program = (
        f"import sys; sys.modules[{module!r}] = None; sys.argv = ['tiktok-assets', 'publish'];"
        "from tiktok_assets.cli import main; main()"
    )
    variables = {
        "TIKTOK_DESTINATIONS": name,
        "TIKTOK_POSTGRES_URL": "postgresql://me:pw@127.0.0.1:1/ads",
        "TIKTOK_DELTA_URL": "delta",
        "TIKTOK_ICEBERG_CATALOG": "sqlite:///c.db",
        "TIKTOK_ICEBERG_WAREHOUSE": "tables",
    }
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        env={**shell.variables, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        f"Error: {name}: the module {module} is missing; run pip install 'tiktok-assets[{extra}]'" in done.stderr
    )
