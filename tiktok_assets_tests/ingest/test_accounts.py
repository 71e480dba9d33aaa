"""Laws of what the readings of the accounts notice: each change once, with what it was and what it is."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.errors import AdvertiserError, CredentialsError, TikTokError
from tiktok_assets.ingest.account_reader import TrackedAccounts
from tiktok_assets.ingest.accounts import load_accounts, resolve_advertiser_ids
from tiktok_assets.ingest.writer import refresh_advertisers
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, lost_of, reading

NOON = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
ZONES = st.sampled_from(["", "UTC", "Asia/Tokyo", "Mars/Base"])
CURRENCIES = st.sampled_from(["", "USD", "JPY"])
OWNERS = st.sampled_from(["7001", "7002"])
ROUNDS = st.lists(st.dictionaries(OWNERS, st.tuples(ZONES, CURRENCIES)), max_size=8)


def told_of(values: list[str]) -> list[tuple[str, str]]:
    """The changes in a series of values, of which "" says nothing."""
    known = [value for value in values if value]
    return [(was, has) for was, has in pairwise(known) if was != has]


@given(ROUNDS)
def test_each_change_is_noticed_by_one_reading(rounds: list[dict[str, tuple[str, str]]]) -> None:
    """Whatever comes, is missing or comes back, through the notes of the file: each change once, in order."""
    known, noticed = TrackedAccounts.of(None, ()), []
    for number, told in enumerate(rounds):
        accounts = [Account(owner, currency, zone) for owner, (zone, currency) in told.items()]
        known, new = known.read(accounts, NOON + timedelta(days=number))
        known = TrackedAccounts.of(known.notes, [])
        noticed += new
    assert list(known.changes) == noticed
    for owner in ("7001", "7002"):
        for place, what in enumerate(("time zone", "currency")):
            series = [told[owner][place] for told in rounds if owner in told]
            mine = [one for one in noticed if (one.advertiser_id, one.what) == (owner, what)]
            assert [(one.before, one.after) for one in mine] == told_of(series)


def test_the_first_reading_after_an_update_knows_the_rows() -> None:
    """A file that an earlier release wrote has no notes of the accounts; its rows say what they were."""
    row = {"advertiser_id": "7001", "currency": "USD", "display_timezone": "Asia/Tokyo", "timezone": "Etc/GMT-9"}
    known = TrackedAccounts.of({"fetched_at": NOON.isoformat()}, [row])
    (change,) = known.read([Account("7001", "EUR", "Asia/Tokyo")], NOON + timedelta(hours=3))[1]
    assert str(change) == (
        "advertiser 7001: the currency was USD until 2026-10-08 and is EUR; days read before keep it"
    )


def settings_of(host: Host, **more: object) -> Settings:
    """The settings of a user of this host."""
    told: dict[str, object] = {
        "base_url": host.sandbox.base_url,
        "access_token": host.sandbox.token,
        "app_id": host.sandbox.app_id,
        "app_secret": host.sandbox.secret,
        "advertiser_ids": [],
        "account_timezone": {},
        "account_currency": {},
    }
    return load_settings(**(told | more))


def test_the_accounts_named_are_the_accounts_read(agency: Host) -> None:
    """Ids of the settings are taken as they are, in order and each once, without a request."""
    with reading(agency) as one:
        read = resolve_advertiser_ids(one.reader, settings_of(agency, advertiser_ids=["72", "71", "72"]))
    assert read == ["71", "72"]
    assert agency.requests == []


def test_without_names_all_granted_accounts_are_read(agency: Host) -> None:
    """The API's list is asked for once, and an account that lost its grant is not on it."""
    with reading(agency) as one:
        read = resolve_advertiser_ids(one.reader, settings_of(agency))
    assert read == sorted(account.advertiser_id for account in accounts_of(agency))
    assert [request["path"] for request in agency.requests] == ["oauth2/advertiser/get"]


@pytest.mark.parametrize("missing", ["app_id", "app_secret"])
def test_what_is_needed_to_list_accounts_is_said(agency: Host, missing: str) -> None:
    """Without app or secret, one sentence names the settings that help, and nothing is asked."""
    with reading(agency) as one, pytest.raises(CredentialsError) as caught:
        resolve_advertiser_ids(one.reader, settings_of(agency, **{missing: None}))
    assert {"TIKTOK_ADVERTISER_IDS", "TIKTOK_APP_ID", "TIKTOK_APP_SECRET"} <= set(
        re.findall("[A-Z_]{6,}", str(caught.value))
    )
    assert agency.requests == []


def test_accounts_that_cannot_be_listed_are_an_error(agency: Host) -> None:
    """A failing list is the error it is, not an empty list."""
    agency.misbehave("code", code=50000, times=None)
    with reading(agency) as one, pytest.raises(TikTokError):
        resolve_advertiser_ids(one.reader, settings_of(agency))


def test_an_account_not_stored_is_asked_for(agency: Host, store: HiveStore) -> None:
    """Currency and zone come from the API while the table does not hold the account, the lost one beside."""
    with reading(agency) as one:
        known, refused = load_accounts(one.reader, store, settings_of(agency), agency.advertiser_ids)
    assert known == accounts_of(agency)
    assert set(refused) == {lost_of(agency)}
    assert all(isinstance(error, AdvertiserError) for error in refused.values())
    assert {request["path"] for request in agency.requests} == {"advertiser/info"}


def test_a_stored_account_is_not_asked_for(agency: Host, store: HiveStore) -> None:
    """What the table holds costs no request; the order is that of the ids."""
    ids = [account.advertiser_id for account in accounts_of(agency)]
    with reading(agency) as one:
        refresh_advertisers(one.reader, store, ids)
        agency.behave()
        known, refused = load_accounts(one.reader, store, settings_of(agency), ids[::-1])
        assert (known, refused, agency.requests) == (accounts_of(agency)[::-1], {}, [])
        agency.control("POST", "grants", advertiser_id=ids[0], granted=False)
        refresh_advertisers(one.reader, store, ids)
        known, refused = load_accounts(one.reader, store, settings_of(agency), ids)
    assert (known, refused) == (accounts_of_ids(agency, ids), {})


def accounts_of_ids(host: Host, ids: list[str]) -> list[Account]:
    """The accounts of these ids, whether they are granted or not."""
    worlds = host.sandbox.world.advertisers
    return [Account(one, worlds[one].account.currency, worlds[one].account.display_timezone) for one in ids]


def test_a_setting_wins_over_both(agency: Host, store: HiveStore) -> None:
    """Zone and currency of the settings are used for a stored account, and save an unknown one the request."""
    (first, *_), unknown = accounts_of(agency), "7999999999999999999"
    told = settings_of(
        agency,
        account_timezone={first.advertiser_id: "Europe/Paris", unknown: "Asia/Seoul"},
        account_currency={unknown: "KRW"},
    )
    with reading(agency) as one:
        refresh_advertisers(one.reader, store, [first.advertiser_id])
        agency.behave()
        known, refused = load_accounts(one.reader, store, told, [first.advertiser_id, unknown])
    assert known == [
        Account(first.advertiser_id, first.currency, "Europe/Paris"),
        Account(unknown, "KRW", "Asia/Seoul"),
    ]
    assert (refused, agency.requests) == ({}, [])


def test_an_account_that_cannot_be_understood_is_named_alone(agency: Host, store: HiveStore) -> None:
    """An account the API refuses and half of whose facts are told is an error of its own; the others are known."""
    lost = lost_of(agency)
    told = settings_of(agency, account_timezone={lost: "Europe/Paris"})
    ids = agency.advertiser_ids
    with reading(agency) as one:
        known, refused = load_accounts(one.reader, store, told, ids)
    assert [account.advertiser_id for account in known] == [one for one in ids if one != lost]
    assert refused[lost].code == 40001
