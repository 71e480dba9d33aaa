"""Laws of the page loop: every row of a listing exactly once and in order, or an exception; never fewer."""

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from math import ceil
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from tiktok_assets.api.client import Parameter, RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    ContractError,
    CredentialsError,
    RetryLaterError,
    TikTokError,
    TooLargeError,
)
from tiktok_assets.api.paged_query import PagedQuery, Row
from tiktok_assets.api.pagination import (
    MAX_PAGES_AHEAD,
    MAX_QUERIES_IN_FLIGHT,
    MAX_ROUNDS,
    MIN_QUERIES_AHEAD,
    Fetcher,
    FetchResult,
    PrefetchWindow,
)
from tiktok_assets.api.request_plan import count_pages
from tiktok_assets.spec.endpoints import AD_GROUP_LIST, AD_LIST, CAMPAIGN_LIST, MAX_PAGE_SIZE, REPORT, Endpoint
from tiktok_assets_tests.api.conftest import HANG_SECONDS, SHORT_TIMEOUTS, Host

KEYS = {CAMPAIGN_LIST: "campaign_id", AD_GROUP_LIST: "adgroup_id", AD_LIST: "ad_id"}
TRUTHS = {CAMPAIGN_LIST: "campaigns", AD_GROUP_LIST: "ad_groups", AD_LIST: "ads"}
EVERYTHING: dict[str, Parameter] = {"filtering": {"primary_status": "STATUS_ALL"}}


def kept(rows: list[Row], _: RequestStats) -> list[Row]:
    """A page as it came."""
    return rows


def entities(advertiser_id: str, endpoint: Endpoint = AD_LIST) -> PagedQuery[list[Row]]:
    """The question for all objects of a kind."""
    key = KEYS[endpoint]
    return PagedQuery(
        endpoint, {"advertiser_id": advertiser_id, **EVERYTHING}, identify=lambda row: str(row[key]), parse=kept
    )


def ad_report(advertiser_id: str, first: str, last: str) -> PagedQuery[list[Row]]:
    """The question for each ad's days."""
    return PagedQuery(
        REPORT,
        {
            "advertiser_id": advertiser_id,
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id", "stat_time_day"],
            "metrics": ["spend", "impressions"],
            "start_date": first,
            "end_date": last,
            "order_field": "spend",
            "order_type": "DESC",
        },
        identify=lambda row: (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"]),
        parse=kept,
    )


def rows_of(fetched: FetchResult[list[Row]]) -> list[Row]:
    """The rows of all pages, in order."""
    return [row for page in fetched.pages for row in page]


@pytest.mark.parametrize("endpoint", KEYS, ids=lambda endpoint: endpoint.path)
@pytest.mark.parametrize(
    ("world", "account"), [("small", 0), ("small", 3), ("a page", 0), ("one more", 0), ("several", 0)]
)
def test_every_object_arrives_exactly_once(
    hosts: dict[str, Host], world: str, account: int, endpoint: Endpoint
) -> None:
    """A listing of 0, 1, 3, 1000, 1001 or 2300 rows is the truth in every field, in the requests planned."""
    host = hosts[world]
    host.behave()
    owner = host.advertiser_ids[account]
    truth = host.truth(TRUTHS[endpoint], advertiser_id=owner)
    with host.fetcher() as (client, fetcher):
        fetched = fetcher.fetch(entities(owner, endpoint))
    found = {row[KEYS[endpoint]]: row for row in rows_of(fetched)}
    assert found == {row[KEYS[endpoint]]: row for row in truth}
    assert (fetched.rows, len(rows_of(fetched))) == (len(truth), len(truth))
    assert fetched.tally.requests == client.total.requests == len(host.requests) == count_pages(len(truth))
    assert (fetched.tally.pages, fetched.tally.retries) == (count_pages(len(truth)), 0)


@pytest.mark.parametrize(("world", "days"), [("small", 6), ("a page", 1), ("one more", 1), ("several", 3)])
def test_every_day_of_a_report_arrives_exactly_once(hosts: dict[str, Host], world: str, days: int) -> None:
    """A report's rows are the truth's, each (ad, day) once, the ends of the window included."""
    host = hosts[world]
    host.behave()
    owner, last = host.advertiser_ids[0], "2026-11-08"
    first = f"2026-11-{9 - days:02}"
    truth = host.truth("report", level="ad", advertiser_id=owner, start_date=first, end_date=last)
    with host.fetcher() as (_, fetcher):
        fetched = fetcher.fetch(ad_report(owner, first, last))
    found = Counter(
        (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"][:10]) for row in rows_of(fetched)
    )
    assert found == Counter((row["id"], row["date"]) for row in truth)
    assert fetched.tally.requests == len(host.requests) == count_pages(len(truth))
    spend = {
        (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"][:10]): row["metrics"]["spend"]
        for row in rows_of(fetched)
    }
    assert spend == {(row["id"], row["date"]): row["metrics"]["spend"] for row in truth}


PAGE_TRICKS: list[tuple[str, dict[str, Any]]] = [
    ("lost_row", {}),
    ("lost_row", {"after": 1}),
    ("repeated_page", {"after": 1}),
    ("drift", {"shift": 1}),
    ("drift", {"shift": 1, "after": 1}),
]


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(("kind", "how"), PAGE_TRICKS)
@pytest.mark.parametrize("what", ["ads", "report"])
def test_pages_that_disagree_are_read_again(
    paged: Host, what: str, kind: str, how: dict[str, Any], times: int
) -> None:
    """A lost row, a repeated page or rows that moved between two pages are noticed, and all pages read anew."""
    owner = paged.advertiser_ids[0]
    listing = entities(owner) if what == "ads" else ad_report(owner, "2026-11-08", "2026-11-08")
    with paged.fetcher() as (_, fetcher):
        whole = fetcher.fetch(listing)
        paged.misbehave(kind, times=times, **how)
        again = fetcher.fetch(listing)
    assert rows_of(again) == rows_of(whole)
    assert len(rows_of(again)) == 1001
    rounds = again.tally.pages // 2
    assert 2 <= rounds <= MAX_ROUNDS
    assert (again.tally.requests, again.tally.retries) == (rounds * 2, 0)


@pytest.mark.parametrize(
    ("kind", "how"), [("lost_row", {}), ("repeated_page", {}), ("drift", {"shift": 1})], ids=repr
)
@pytest.mark.parametrize("what", ["ads", "report"])
def test_pages_that_never_agree_are_a_broken_contract(
    paged: Host, what: str, kind: str, how: dict[str, Any]
) -> None:
    """After three rounds of pages that do not hold what they announce there is an error and not one row."""
    owner = paged.advertiser_ids[0]
    listing = entities(owner) if what == "ads" else ad_report(owner, "2026-11-08", "2026-11-08")
    paged.misbehave(kind, times=None, **how)
    with paged.fetcher() as (client, fetcher), pytest.raises(ContractError, match="3 times in a row") as caught:
        fetcher.fetch(listing)
    assert caught.value.endpoint == listing.endpoint.path
    assert client.total.requests == MAX_ROUNDS * 2


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("after", [0, 1])
def test_rows_that_went_while_pages_were_read_are_noticed(hosts: dict[str, Host], times: int, after: int) -> None:
    """A page cut from a shorter list than its neighbours skips a row; then all pages are read anew."""
    host = hosts["several"]
    host.behave()
    listing = entities(host.advertiser_ids[0])
    with host.fetcher() as (_, fetcher):
        whole = fetcher.fetch(listing)
        host.misbehave("drift", shift=-1, times=times, after=after)
        again = fetcher.fetch(listing)
    host.behave()
    assert rows_of(again) == rows_of(whole)
    assert again.tally.pages == 6


def test_a_row_that_is_gone_for_good_is_gone(paged: Host) -> None:
    """A listing that became shorter between two pages is read anew and is then what the host now has."""
    listing = entities(paged.advertiser_ids[0])
    with paged.fetcher() as (_, fetcher):
        before = fetcher.fetch(listing)
        paged.misbehave("drift", shift=-1, times=None, after=1)
        after = fetcher.fetch(listing)
    assert rows_of(after) == rows_of(before)[1:]
    assert after.tally.pages == 2 + 1  # the row less, and there is no second page


SPOILED: list[tuple[str, dict[str, Any]]] = [
    ("wrong_type", {"field": "total_number"}),
    ("wrong_type", {"field": "dimensions"}),
    ("wrong_type", {"field": "ad_id"}),
]


@pytest.mark.parametrize(("kind", "how"), SPOILED)
@pytest.mark.parametrize("times", [1, 2, None])
def test_an_answer_of_another_shape_is_refused(small: Host, kind: str, how: dict[str, Any], times: int) -> None:
    """A count that is text, or a key that is an object, is a broken contract naming the request."""
    small.misbehave(kind, times=times, **how)
    with small.fetcher() as (_, fetcher), pytest.raises(ContractError) as caught:
        fetcher.fetch(ad_report(small.advertiser_ids[0], "2026-11-07", "2026-11-08"))
    assert caught.value.request_id
    assert len(small.requests) == 1


def test_a_report_that_was_cut_short_is_refused(small: Host) -> None:
    """Where TikTok says in a header that it left rows out, none of the others is kept."""
    small.control("POST", "switches", max_report_ads=2)
    with small.fetcher() as (_, fetcher), pytest.raises(ContractError, match="TikTok left rows out"):
        fetcher.fetch(ad_report(small.advertiser_ids[0], "2026-11-07", "2026-11-08"))


@pytest.mark.parametrize(
    ("kind", "how", "error"),
    [
        ("code", {"code": 40105}, CredentialsError),
        ("code", {"code": 40067}, TooLargeError),
        ("code", {"code": 40100, "times": None}, RetryLaterError),
        ("truncated", {"times": None}, RetryLaterError),
    ],
)
def test_a_page_that_fails_fails_the_listing(
    paged: Host, kind: str, how: dict[str, Any], error: type[TikTokError]
) -> None:
    """When the second page does not come, the first is not handed out."""
    paged.misbehave(kind, after=1, **how)
    with paged.fetcher() as (_, fetcher), pytest.raises(error):
        fetcher.fetch(entities(paged.advertiser_ids[0]))


def test_a_page_that_hangs_is_asked_again(paged: Host) -> None:
    """One silent page of a list costs a time-out and one retry, and no row."""
    paged.misbehave("hang", after=1, seconds=HANG_SECONDS)
    with paged.fetcher(SHORT_TIMEOUTS) as (_, fetcher):
        fetched = fetcher.fetch(entities(paged.advertiser_ids[0]))
    paged.settle(fetched.tally.requests)
    assert fetched.rows == 1001
    assert fetched.tally.retries >= 1


def test_listings_come_in_the_order_given_each_with_its_own_fate(small: Host) -> None:
    """Of many listings each is handed out with its rows or its error, in order, however they finish."""
    live, lost = small.advertiser_ids[:3], "7000000000000000000"
    asked = [entities(owner) for owner in [*live, lost, *live, lost]]
    with small.fetcher() as (_, fetcher):
        told = list(fetcher.fetch_each(asked))
    assert [listing for listing, _ in told] == asked
    fates = [type(fate) if isinstance(fate, TikTokError) else fate.rows for _, fate in told]
    assert fates == [3, 3, 3, AdvertiserError, 3, 3, 3, AdvertiserError]


@dataclass
class Taken:
    """The same listing again and again, counted as it is taken."""

    owner: str
    most: int
    count: int = 0

    def __iter__(self) -> Iterator[PagedQuery[list[Row]]]:
        """One after the other."""
        while self.count < self.most:
            self.count += 1
            yield entities(self.owner)


def test_many_small_listings_go_out_together_and_never_all(small: Host) -> None:
    """The first few go out alone; once one was small as many are read ahead as may be, and not one more."""
    taken = Taken(small.advertiser_ids[0], 60)
    with small.fetcher() as (_, fetcher):
        told = fetcher.fetch_each(taken)
        for handed_out in range(1, 4):
            next(told)
            assert taken.count == handed_out + MAX_QUERIES_IN_FLIGHT
        assert len(list(told)) == taken.most - 3


def test_small_listings_wait_for_the_budget_and_not_for_each_other(small: Host) -> None:
    """Forty listings of one page at a fifth of a second each take a small part of what they would in turn."""
    taken = Taken(small.advertiser_ids[0], 40)
    small.control("POST", "latency", seconds=0.2)
    with small.fetcher() as (_, fetcher):
        began = time.monotonic()
        list(fetcher.fetch_each(taken))
    assert time.monotonic() - began < 40 * 0.2 / 4


def test_large_listings_are_few_in_memory(hosts: dict[str, Host]) -> None:
    """Of listings of three pages no more are read ahead than the pages that may be held."""
    host = hosts["several"]
    host.behave()
    taken = Taken(host.advertiser_ids[0], 20)
    with host.fetcher() as (_, fetcher):
        for handed_out, _ in enumerate(fetcher.fetch_each(taken), 1):
            assert (taken.count - handed_out) * 3 <= MAX_PAGES_AHEAD


def test_a_large_listing_among_small_ones_waits_for_its_turn() -> None:
    """What turns out too large for the pages that may be held is read on when it is among the next few."""
    room = PrefetchWindow()
    for position in range(MIN_QUERIES_AHEAD):
        assert room.place() == position
        room.take(position, 1)
    assert room.place() is None
    room.hand_out()
    last = MAX_QUERIES_IN_FLIGHT
    assert [room.place() for _ in range(MIN_QUERIES_AHEAD, last + 2)] == [
        *range(MIN_QUERIES_AHEAD, last + 1),
        None,
    ]
    large = Thread(target=room.take, args=(last, MAX_PAGES_AHEAD + 1), daemon=True)
    large.start()
    for _ in range(last - MIN_QUERIES_AHEAD):
        large.join(0.01)
        assert large.is_alive()
        assert room.place() is None  # nothing more is begun beside it
        room.hand_out()
    large.join(5)
    assert not large.is_alive()


def test_whoever_stops_taking_listings_leaves_nobody_waiting(hosts: dict[str, Host]) -> None:
    """A consumer that goes away ends the threads that read ahead for it, large listings or small."""
    host = hosts["several"]
    host.behave()
    with host.fetcher() as (_, fetcher):
        told = fetcher.fetch_each(Taken(host.advertiser_ids[0], 50))
        next(told)
        assert isinstance(told, Generator)
        told.close()
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("listing") for thread in enumerate_threads()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_count_costs_one_row(paged: Host) -> None:
    """How many rows a listing has is told by a page of one."""
    with paged.fetcher() as (client, fetcher):
        assert fetcher.count(entities(paged.advertiser_ids[0])) == 1001
        assert client.total.requests == 1
    assert [request["query"]["page_size"] for request in paged.requests] == ["1"]


def test_a_closed_fetcher_begins_nothing(small: Host) -> None:
    """After its end no listing is begun."""
    with small.fetcher() as (_, fetcher):
        pass
    with pytest.raises(RuntimeError):
        list(fetcher.fetch_each([entities(small.advertiser_ids[0])]))
    assert small.requests == []


def test_the_pages_of_a_plan_are_the_pages_there_are(hosts: dict[str, Host]) -> None:
    """Every page but the last is full, and the last is not empty."""
    host = hosts["several"]
    host.behave()
    with host.fetcher() as (_, fetcher):
        fetched = fetcher.fetch(entities(host.advertiser_ids[0]))
    sizes = [len(page) for page in fetched.pages]
    assert sizes == [MAX_PAGE_SIZE, MAX_PAGE_SIZE, 300]
    assert len(sizes) == ceil(fetched.rows / MAX_PAGE_SIZE)
    assert isinstance(fetcher, Fetcher)
