"""Test that failures show no secret: passwords in URLs, tokens in crashes, chains of exceptions."""

import logging
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from tiktok_assets.alerts.channels import send_message
from tiktok_assets.api.errors import TikTokError
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import open_session
from tiktok_assets.settings import SettingsError, load_settings
from tiktok_assets.storage.parquet_store import StoreError
from tiktok_assets_tests.cli.conftest import build_variables, run_command
from tiktok_assets_tests.end_to_end.test_canary import Watch, find_files_with
from tiktok_assets_tests.environment import clean_environment

CANARY = "canary-5ecret-7d1"
WORLD = WorldPlan(dense=True, advertisers=2, days=4, campaigns=1, ad_groups=1, ads=2)
NO_LIMITS = Limits(qps=None, qpm=None)
UNREACHABLE = "127.0.0.1:9"

POSTGRES = {"TIKTOK_STATE_URL": f"postgresql+psycopg2://tiktok:{CANARY}@{UNREACHABLE}/state?connect_timeout=1"}
REDIS = {"TIKTOK_LIMITER_URL": f"redis://:{CANARY}@{UNREACHABLE}/0"}
WRONG = (
    {"TIKTOK_STATE_URL": f"not-a-database://x:{CANARY}@h/x"},
    {"TIKTOK_STATE_URL": f"{CANARY}"},
    {"TIKTOK_LIMITER_URL": f"http://:{CANARY}@{UNREACHABLE}"},
    {"TIKTOK_LIMITER_URL": f"redis://:{CANARY}@{UNREACHABLE}:port/x"},
    {"TIKTOK_ALERT_URLS": f"{CANARY}"},
    {"TIKTOK_ALERT_URLS": f"nothing://{CANARY}"},
    {"TIKTOK_BASE_URL": f"http://user:{CANARY}@{UNREACHABLE}"},
    {"TIKTOK_OVERVIEW_URL": f"http://user:{CANARY}@{UNREACHABLE}"},
    {"DAGSTER_UI_URL": f"http://user:{CANARY}@{UNREACHABLE}"},
    {"TIKTOK_ACCESS_TOKEN": f"{CANARY} with a blank"},
    {"TIKTOK_ACCESS_TOKEN": f"{CANARY}\n"},
)
COMMANDS = (("doctor",), ("sync",), ("get", "ads"))


@pytest.mark.slow
@pytest.mark.parametrize("addresses", [POSTGRES, REDIS, *WRONG], ids=lambda one: next(iter(one.values())))
def test_password_of_a_url_is_never_shown(tmp_path: Path, addresses: dict[str, str]) -> None:
    """If a database, rate limiter or channel has a wrong or unreachable URL, its password is not shown."""
    with RunningSandbox(WORLD, limits=NO_LIMITS) as host, Watch((CANARY,)) as watch:
        results = [
            run_command(*command, variables={**build_variables(host), **addresses}, folder=tmp_path)
            for command in COMMANDS
        ]
    assert any(one.exit_code for one in results)
    assert [one for one in results if CANARY in one.out + one.err] == []
    assert [one.err for one in results if "Traceback" in one.err] == []
    assert find_files_with((CANARY,), tmp_path) == []
    assert watch.seen == []


def format_chain(error: BaseException) -> str:
    """Return everything that a log, a traceback or a Dagster event could have of an error and its causes."""
    told = ["".join(traceback.format_exception(error))]
    link: BaseException | None = error
    while link is not None:
        told += [str(link), repr(link), repr(link.args)]
        link = link.__cause__ or link.__context__
    return "\n".join(told)


def open_everything() -> None:
    """Open the state, the request budget and the host of the settings."""
    settings = load_settings(access_token="token", base_url=f"http://{UNREACHABLE}")
    assert CANARY not in repr(settings) + str(settings) + str(settings.model_dump())
    with open_session(settings) as session:
        assert "State" in repr(session.state)
        assert session.advertiser_ids


@pytest.mark.parametrize("addresses", [POSTGRES, REDIS, *WRONG[:4]], ids=lambda one: next(iter(one.values())))
def test_exception_chain_has_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: dict[str, str]
) -> None:
    """An error with all its causes, as a logger or Dagster stores it, has no password of a URL."""
    monkeypatch.chdir(tmp_path)
    for name, value in addresses.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((TikTokError, SettingsError, StoreError)) as caught:
        open_everything()
    assert CANARY not in format_chain(caught.value)


@pytest.mark.parametrize(
    "url", ["json://user:{}@127.0.0.1:9/{}", "slack://{}/{}/x", "mailto://u:{}@127.0.0.1:9/{}"]
)
def test_failed_channel_shows_no_url(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    """An alert that cannot be delivered leaves the URL of its channel in no log and no outcome."""
    caplog.set_level(logging.DEBUG)
    message = dict.fromkeys(("title", "text", "markdown", "html", "brief"), "text")
    outcome = send_message(SecretStr(url.format(CANARY, CANARY)), None, message)
    printed = capfd.readouterr()
    assert outcome.result != "delivered"
    kept = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert CANARY not in "\n".join([repr(outcome), printed.out, printed.err, *kept])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_crash_shows_no_token(tmp_path: Path, number: signal.Signals) -> None:
    """A process that crashes during a request writes a stack without values, and no memory to disk."""
    with RunningSandbox(WORLD, limits=NO_LIMITS) as host:
        host.state.faults.declared.append(Fault(kind="hang", seconds=5, times=None))
        variables = build_variables(host)
        with subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tiktok_assets", "get", "advertisers"],
            cwd=tmp_path,
            env=clean_environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            deadline = time.monotonic() + 30
            while not any(fault.fired for fault in host.state.faults.declared) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
            told, _ = process.communicate(timeout=30)
        secrets = (host.token, host.secret)
    assert process.returncode == -number
    assert b"Fatal Python error" in told
    assert [secret for secret in secrets if secret.encode() in told] == []
    assert find_files_with(secrets, tmp_path) == []
