"""What bad input gets: one sentence that names the thing and the mend, an exit code, and nothing lost."""

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tiktok_assets_tests.commands.conftest import Run

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
