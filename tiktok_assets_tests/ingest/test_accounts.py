"""Test which accounts are read, the source of their time zone and currency, and how changes are reported."""

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
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import find_ungranted_account, granted_accounts, open_reader

NOON = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)
ZONES = st.sampled_from(["", "UTC", "Asia/Tokyo", "Mars/Base"])
CURRENCIES = st.sampled_from(["", "USD", "JPY"])
OWNERS = st.sampled_from(["7001", "7002"])
ROUNDS = st.lists(st.dictionaries(OWNERS, st.tuples(ZONES, CURRENCIES)), max_size=8)


def list_changes(values: list[str]) -> list[tuple[str, str]]:
    """Return the changes in a series of values; "" is unknown and no change."""
    known = [value for value in values if value]
    return [(before, after) for before, after in pairwise(known) if before != after]


@given(ROUNDS)
def test_each_change_is_reported_once(rounds: list[dict[str, tuple[str, str]]]) -> None:
    """Whatever values are missing or return, each change is found once and in order via the metadata."""
    known, changes = TrackedAccounts.from_metadata(None, ()), []
    for number, values in enumerate(rounds):
        accounts = [Account(owner, currency, zone) for owner, (zone, currency) in values.items()]
        known, new = known.update(accounts, NOON + timedelta(days=number))
        known = TrackedAccounts.from_metadata(known.to_metadata(), [])
        changes += new
    assert list(known.changes) == changes
    for owner in ("7001", "7002"):
        for index, what in enumerate(("time zone", "currency")):
            series = [values[owner][index] for values in rounds if owner in values]
            of_field = [one for one in changes if (one.advertiser_id, one.what) == (owner, what)]
            assert [(one.before, one.after) for one in of_field] == list_changes(series)


def test_the_first_read_after_an_update_compares_with_the_stored_rows() -> None:
    """A file of an earlier release has no metadata of accounts; changes are found by comparison with its rows."""
    row = {"advertiser_id": "7001", "currency": "USD", "display_timezone": "Asia/Tokyo", "timezone": "Etc/GMT-9"}
    known = TrackedAccounts.from_metadata({"fetched_at": NOON.isoformat()}, [row])
    (change,) = known.update([Account("7001", "EUR", "Asia/Tokyo")], NOON + timedelta(hours=3))[1]
    assert str(change) == (
        "advertiser 7001: the currency was USD until 2026-10-08 and is EUR; days stored before keep that currency"
    )


def build_settings(host: Host, **more: object) -> Settings:
    """Build the settings of a user of this host."""
    defaults: dict[str, object] = {
        "base_url": host.sandbox.base_url,
        "access_token": host.sandbox.token,
        "app_id": host.sandbox.app_id,
        "app_secret": host.sandbox.secret,
        "advertiser_ids": [],
        "account_timezone": {},
        "account_currency": {},
    }
    return load_settings(**(defaults | more))


def test_accounts_of_the_settings_are_read(agency: Host) -> None:
    """Ids of the settings are used sorted and once each, without a request."""
    with open_reader(agency) as one:
        read = resolve_advertiser_ids(one.reader, build_settings(agency, advertiser_ids=["72", "71", "72"]))
    assert read == ["71", "72"]
    assert agency.requests == []


def test_without_settings_all_granted_accounts_are_read(agency: Host) -> None:
    """The list of accounts is requested once, and an account without grant is not in it."""
    with open_reader(agency) as one:
        read = resolve_advertiser_ids(one.reader, build_settings(agency))
    assert read == sorted(account.advertiser_id for account in granted_accounts(agency))
    assert [request["path"] for request in agency.requests] == ["oauth2/advertiser/get"]


@pytest.mark.parametrize("missing", ["app_id", "app_secret"])
def test_the_error_names_the_settings_needed_to_list_accounts(agency: Host, missing: str) -> None:
    """Without app id or secret the error names the settings to set, and no request is sent."""
    with open_reader(agency) as one, pytest.raises(CredentialsError) as caught:
        resolve_advertiser_ids(one.reader, build_settings(agency, **{missing: None}))
    assert {"TIKTOK_ADVERTISER_IDS", "TIKTOK_APP_ID", "TIKTOK_APP_SECRET"} <= set(
        re.findall("[A-Z_]{6,}", str(caught.value))
    )
    assert agency.requests == []


def test_accounts_that_cannot_be_listed_are_an_error(agency: Host) -> None:
    """If the list of accounts fails, the error is raised and no empty list is returned."""
    agency.inject_fault("code", code=50000, times=None)
    with open_reader(agency) as one, pytest.raises(TikTokError):
        resolve_advertiser_ids(one.reader, build_settings(agency))


def test_an_account_that_is_not_stored_is_requested(agency: Host, store: HiveStore) -> None:
    """Currency and time zone of an account that is not stored come from the API."""
    with open_reader(agency) as one:
        known, refused = load_accounts(one.reader, store, build_settings(agency), agency.advertiser_ids)
    assert known == granted_accounts(agency)
    assert set(refused) == {find_ungranted_account(agency)}
    assert all(isinstance(error, AdvertiserError) for error in refused.values())
    assert {request["path"] for request in agency.requests} == {"advertiser/info"}


def test_a_stored_account_is_not_requested(agency: Host, store: HiveStore) -> None:
    """A stored account needs no request, and the order is that of the given ids."""
    ids = [account.advertiser_id for account in granted_accounts(agency)]
    with open_reader(agency) as one:
        refresh_advertisers(one.reader, store, ids)
        agency.reset()
        known, refused = load_accounts(one.reader, store, build_settings(agency), ids[::-1])
        assert (known, refused, agency.requests) == (granted_accounts(agency)[::-1], {}, [])
        agency.control("POST", "grants", advertiser_id=ids[0], granted=False)
        refresh_advertisers(one.reader, store, ids)
        known, refused = load_accounts(one.reader, store, build_settings(agency), ids)
    assert (known, refused) == (find_accounts(agency, ids), {})


def find_accounts(host: Host, ids: list[str]) -> list[Account]:
    """Return the accounts with these ids, granted or not."""
    worlds = host.sandbox.world.advertisers
    return [Account(one, worlds[one].account.currency, worlds[one].account.display_timezone) for one in ids]


def test_settings_override_the_store_and_the_api(agency: Host, store: HiveStore) -> None:
    """Time zone and currency of the settings override stored ones, and an unknown account needs no request."""
    (first, *_), unknown = granted_accounts(agency), "7999999999999999999"
    given = build_settings(
        agency,
        account_timezone={first.advertiser_id: "Europe/Paris", unknown: "Asia/Seoul"},
        account_currency={unknown: "KRW"},
    )
    with open_reader(agency) as one:
        refresh_advertisers(one.reader, store, [first.advertiser_id])
        agency.reset()
        known, refused = load_accounts(one.reader, store, given, [first.advertiser_id, unknown])
    assert known == [
        Account(first.advertiser_id, first.currency, "Europe/Paris"),
        Account(unknown, "KRW", "Asia/Seoul"),
    ]
    assert (refused, agency.requests) == ({}, [])


def test_an_account_without_known_currency_is_refused_alone(agency: Host, store: HiveStore) -> None:
    """An account that the API refuses and the settings describe only in part is refused alone."""
    lost = find_ungranted_account(agency)
    given = build_settings(agency, account_timezone={lost: "Europe/Paris"})
    ids = agency.advertiser_ids
    with open_reader(agency) as one:
        known, refused = load_accounts(one.reader, store, given, ids)
    assert [account.advertiser_id for account in known] == [one for one in ids if one != lost]
    assert refused[lost].code == 40001
