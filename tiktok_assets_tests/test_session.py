"""Laws of a session: nothing is opened before it is needed, all is closed after, and one budget is shared."""

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

QUICK = 500.0
"""Requests a second that never wait long."""


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """A small world."""
    with Host.run(SMALL) as running:
        yield running


@pytest.fixture
def host(shared_host: Host) -> Iterator[Host]:
    """The small world, well-behaved before and after."""
    shared_host.behave()
    yield shared_host
    shared_host.behave()


def settings_of(host: Host, folder: Path, **more: object) -> Settings:
    """The settings of a user with a folder of their own."""
    told: dict[str, object] = {
        "base_url": host.sandbox.base_url,
        "access_token": host.sandbox.token,
        "app_id": host.sandbox.app_id,
        "app_secret": host.sandbox.secret,
        "advertiser_ids": [],
        "qps": QUICK,
        "data_dir": str(folder / "data"),
        "state_dir": folder / "state",
    }
    return load_settings(**(told | more))


def test_an_unused_session_opens_nothing(host: Host, tmp_path: Path) -> None:
    """A session that is made and closed asks nothing and leaves no file."""
    with open_session(settings_of(host, tmp_path)) as session:
        assert session.store.base.name == "data"
    session.close()
    assert list(tmp_path.iterdir()) == []
    assert host.requests == []


def test_a_session_reads_with_what_the_settings_say(host: Host, tmp_path: Path) -> None:
    """Host, token, metrics and the accounts are those of the settings; the total counts every request."""
    with open_session(settings_of(host, tmp_path, metrics="clicks")) as session:
        assert session.advertiser_ids == sorted(host.advertiser_ids)
        assert session.advertiser_ids == sorted(host.advertiser_ids)
        assert [request["path"] for request in host.requests] == ["oauth2/advertiser/get"]
        assert [metric.name for metric in session.reader.metrics] == ["spend", "clicks"]
        read = read_accounts(session.reader, session.advertiser_ids)
        assert read.refused == {}
        assert session.total.requests == len(host.requests) == 2
        assert session.now() - host.sandbox.clock.now() < read.fetched_at.resolution * 10**7
    assert (tmp_path / "state" / BUDGET_FILE).is_file()


def test_accounts_of_the_settings_cost_no_request(host: Host, tmp_path: Path) -> None:
    """Named accounts are not asked for, not even with a token that does not work."""
    told = settings_of(host, tmp_path, advertiser_ids=["72", "71"], access_token="wrong")
    with open_session(told) as session:
        assert session.advertiser_ids == ["71", "72"]
    assert host.requests == []


@pytest.mark.parametrize("token", [None, "", "two words", "wrong"])
def test_a_token_that_cannot_work_is_one_sentence(host: Host, tmp_path: Path, token: str | None) -> None:
    """A session opens without a working token; its first question is a CredentialsError of one line."""
    with open_session(settings_of(host, tmp_path, access_token=token)) as session:
        session.store.check_writable()
        with pytest.raises(CredentialsError) as caught:
            _ = session.advertiser_ids
    assert "\n" not in str(caught.value)
    assert not token or token not in str(caught.value)


def test_a_failed_listing_is_asked_again(host: Host, tmp_path: Path) -> None:
    """Accounts that could not be listed are an error each time until they can be."""
    session = Session(settings_of(host, tmp_path), policy=FAST)
    try:
        host.misbehave("code", code=40105)
        with pytest.raises(TikTokError):
            _ = session.advertiser_ids
        assert session.advertiser_ids == sorted(host.advertiser_ids)
    finally:
        session.close()


def test_sessions_of_one_state_folder_share_one_budget(host: Host, tmp_path: Path) -> None:
    """Two sessions together send no faster than the settings allow one."""
    told = settings_of(host, tmp_path, qps=20, advertiser_ids=["71"])
    with open_session(told) as one, open_session(told) as other:
        began = time.monotonic()
        for _ in range(5):
            for session in (one, other):
                read_accounts(session.reader, host.advertiser_ids)
        seconds = time.monotonic() - began
    assert len(host.requests) == 10
    assert seconds >= 9 / 20


def test_a_closed_session_sends_nothing(host: Host, tmp_path: Path) -> None:
    """After its end a session asks nothing; closing it again is fine."""
    session = Session(settings_of(host, tmp_path), policy=FAST)
    read_accounts(session.reader, host.advertiser_ids)
    sent = len(host.requests)
    session.close()
    session.close()
    with pytest.raises(RuntimeError):
        read_accounts(session.reader, host.advertiser_ids)
    assert len(host.requests) == sent


def test_a_closed_session_writes_nothing_more(host: Host, tmp_path: Path) -> None:
    """No thread outlives a session: its folder can be removed, and stays so."""
    before = set(threading.enumerate())
    with open_session(settings_of(host, tmp_path)) as session:
        assert session.advertiser_ids
    shutil.rmtree(tmp_path)

    deadline = time.monotonic() + 15  # the budget's own thread wakes every ten seconds
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(threading.enumerate()) - before == set()
    assert not tmp_path.exists()
