"""Laws of what the readings of the accounts notice: each change once, with what it was and what it is."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.days import Account
from tiktok_assets.refresh.account_changes import AccountsKnown

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
    known, noticed = AccountsKnown.of(None, ()), []
    for number, told in enumerate(rounds):
        accounts = [Account(owner, currency, zone) for owner, (zone, currency) in told.items()]
        known, new = known.read(accounts, NOON + timedelta(days=number))
        known = AccountsKnown.of(known.notes, [])
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
    known = AccountsKnown.of({"fetched_at": NOON.isoformat()}, [row])
    (change,) = known.read([Account("7001", "EUR", "Asia/Tokyo")], NOON + timedelta(hours=3))[1]
    assert str(change) == (
        "advertiser 7001: the currency was USD until 2026-10-08 and is EUR; days read before keep it"
    )
