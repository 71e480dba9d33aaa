"""Tests of sessions: connections are opened on first use, closed at the end, and share one request budget."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tiktok_assets.api.errors import CredentialsError, TikTokError
from tiktok_assets.ingest.account_reader import read_accounts
from tiktok_assets.session import BUDGET_FILE, Session, open_session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets_tests.api.conftest import FAST, SMALL, Host

HIGH_RATE = 500.0
"""Requests per second at which requests hardly wait."""


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """Run a host of a small world."""
    with Host.run(SMALL) as running:
        yield running


@pytest.fixture
def host(shared_host: Host) -> Iterator[Host]:
    """Return the host, reset before and after the test."""
    shared_host.reset()
    yield shared_host
    shared_host.reset()


def build_settings(host: Host, folder: Path, **more: object) -> Settings:
    """Build settings with folders of their own."""
    values: dict[str, object] = {
        "base_url": host.sandbox.base_url,
        "access_token": host.sandbox.token,
        "app_id": host.sandbox.app_id,
        "app_secret": host.sandbox.secret,
        "advertiser_ids": [],
        "qps": HIGH_RATE,
        "data_dir": str(folder / "data"),
        "state_dir": folder / "state",
    }
    return load_settings(**(values | more))


def test_unused_session_opens_nothing(host: Host, tmp_path: Path) -> None:
    """A session that is opened and closed sends no request and creates no file."""
    with open_session(build_settings(host, tmp_path)) as session:
        assert session.store.base.name == "data"
    session.close()
    assert list(tmp_path.iterdir()) == []
    assert host.requests == []


def test_session_uses_the_settings(host: Host, tmp_path: Path) -> None:
    """Host, token, metrics and accounts are those of the settings, and the total counts every request."""
    with open_session(build_settings(host, tmp_path, metrics="clicks")) as session:
        assert session.advertiser_ids == sorted(host.advertiser_ids)
        assert session.advertiser_ids == sorted(host.advertiser_ids)
        assert [request["path"] for request in host.requests] == ["oauth2/advertiser/get"]
        assert [metric.name for metric in session.reader.metrics] == ["spend", "clicks"]
        accounts = read_accounts(session.reader, session.advertiser_ids)
        assert accounts.refused == {}
        assert session.total.requests == len(host.requests) == 2
        assert session.now() - host.sandbox.clock.now() < accounts.fetched_at.resolution * 10**7
    assert (tmp_path / "state" / BUDGET_FILE).is_file()


def test_accounts_of_the_settings_are_not_requested(host: Host, tmp_path: Path) -> None:
    """Accounts that the settings name are not requested."""
    settings = build_settings(host, tmp_path, advertiser_ids=["72", "71"], access_token="wrong")
    with open_session(settings) as session:
        assert session.advertiser_ids == ["71", "72"]
    assert host.requests == []


@pytest.mark.parametrize("token", [None, "", "two words", "wrong"])
def test_unusable_token_is_a_credentials_error(host: Host, tmp_path: Path, token: str | None) -> None:
    """A session opens without a working token; its first request raises a CredentialsError of one line."""
    with open_session(build_settings(host, tmp_path, access_token=token)) as session:
        session.store.check_writable()
        with pytest.raises(CredentialsError) as caught:
            _ = session.advertiser_ids
    assert "\n" not in str(caught.value)
    assert not token or token not in str(caught.value)


def test_failed_account_list_is_requested_again(host: Host, tmp_path: Path) -> None:
    """A failed list of accounts is not cached."""
    session = Session(build_settings(host, tmp_path), policy=FAST)
    try:
        host.inject_fault("code", code=40105)
        with pytest.raises(TikTokError):
            _ = session.advertiser_ids
        assert session.advertiser_ids == sorted(host.advertiser_ids)
    finally:
        session.close()


def test_sessions_of_a_state_folder_share_a_budget(host: Host, tmp_path: Path) -> None:
    """Two sessions of a state folder together stay within the rate limit."""
    settings = build_settings(host, tmp_path, qps=20, advertiser_ids=["71"])
    with open_session(settings) as one, open_session(settings) as other:
        began = time.monotonic()
        for _ in range(5):
            for session in (one, other):
                read_accounts(session.reader, host.advertiser_ids)
        seconds = time.monotonic() - began
    assert len(host.requests) == 10
    assert seconds >= 9 / 20


def test_closed_session_sends_nothing(host: Host, tmp_path: Path) -> None:
    """A closed session sends no request, and may be closed again."""
    session = Session(build_settings(host, tmp_path), policy=FAST)
    read_accounts(session.reader, host.advertiser_ids)
    sent = len(host.requests)
    session.close()
    session.close()
    with pytest.raises(RuntimeError):
        read_accounts(session.reader, host.advertiser_ids)
    assert len(host.requests) == sent


def test_closed_session_leaves_no_thread(host: Host, tmp_path: Path) -> None:
    """No thread outlives a session, so its folder can be removed."""
    before = set(threading.enumerate())
    with open_session(build_settings(host, tmp_path)) as session:
        assert session.advertiser_ids
    shutil.rmtree(tmp_path)

    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(threading.enumerate()) - before == set()
    assert not tmp_path.exists()
