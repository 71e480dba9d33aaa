"""Laws of taking over: who was held up until another took its account over makes and forgets nothing."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.formatting import format_dry_run
from tiktok_assets.duplication.lease import LeaseLostError
from tiktok_assets.duplication.ledger import Checkpoint
from tiktok_assets.duplication.models import DONE, REFUSED, STARTED, DuplicationRequest
from tiktok_assets.storage.state import State, leases
from tiktok_assets_tests.duplication.harness import POLICY, DuplicationHarness


class Ended(BaseException):
    """A process ends here; nobody catches it."""


def once_at(point: str, act: Callable[[], None]) -> Checkpoint:
    """Do something the first time a line is reached."""
    done: list[str] = []

    def reached(name: str) -> None:
        if name == point and not done:
            done.append(name)
            act()

    return reached


def end() -> None:
    """End as a killed process does."""
    raise Ended


def lose_lease(bench: DuplicationHarness) -> None:
    """Let the time pass after which another may take over."""
    state = State(bench.connection.state_url)
    with state.transaction() as connection:
        connection.execute(sa.update(leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
    state.close()


def ended_at(bench: DuplicationHarness, wish: DuplicationRequest, point: str) -> None:
    """A process that duplicates until it ends at a line."""
    with bench.connection.open(once_at(point, end)) as duplicator, pytest.raises(Ended):
        duplicator.carry_out(wish)


def taken_over_at(
    bench: DuplicationHarness, wish: DuplicationRequest, point: str, by: Callable[[], object]
) -> None:
    """A process is held up at a line while another takes over; it goes on afterwards and finds out."""

    def meanwhile() -> None:
        lose_lease(bench)
        by()

    with bench.connection.open(once_at(point, meanwhile)) as duplicator, pytest.raises(LeaseLostError):
        duplicator.carry_out(wish)


def counts(bench: DuplicationHarness, wish: DuplicationRequest) -> list[int]:
    """How many ad groups and ads were made in truth."""
    return [len(rows) for rows in bench.made(wish)]


READING = "request: after reading the sources"


def test_a_late_plan_does_not_forget_what_another_sent(bench: DuplicationHarness) -> None:
    """Held up while it read, it does not put its plan over the requests of one that took over and was killed."""
    wish = bench.wish(again=200, ad_group_id=bench.scaling_group.id)
    taken_over_at(bench, wish, READING, lambda: ended_at(bench, wish, "ledger: before made ad"))
    assert bench.carry_out(wish).status == DONE
    assert counts(bench, wish) == [0, 1]


def test_a_late_beginning_does_not_begin_anew(bench: DuplicationHarness) -> None:
    """Held up before it begins anew what was refused, it changes nothing of what another has begun since."""
    wish = bench.wish(again=201)
    bench.host.misbehave("code", path="adgroup/create", code=40002, message="not now")
    with pytest.raises(RefusedError):
        bench.carry_out(wish)
    bigger = replace(wish, budget=Decimal(70), enable=True)
    taken_over_at(bench, bigger, "ledger: before begin again", lambda: bench.carry_out(wish))
    (group,), (ad,) = bench.made(wish)
    assert (group["operation_status"], ad["operation_status"]) == ("DISABLE", "DISABLE")
    assert bench.carry_out(wish).enable is False


def test_a_late_refusal_does_not_forget_what_another_sent(bench: DuplicationHarness) -> None:
    """An answer that says "not made", come late, is about its own request and not about its successor's."""
    wish = bench.wish(again=202)
    bench.host.misbehave("code", path="ad/create", code=40202)
    after = "request: after ad/create/"
    taken_over_at(bench, wish, after, lambda: ended_at(bench, wish, after))
    assert bench.carry_out(wish).status == DONE
    assert counts(bench, wish) == [1, 1]


def test_a_late_refusal_refuses_nothing_another_makes(bench: DuplicationHarness) -> None:
    """Checks that failed while it was held up neither refuse what another makes nor free its part of the cap."""
    wish = bench.wish(again=203, budget=Decimal(60))
    small = replace(wish, budget=Decimal(5))
    taken_over_at(bench, small, "ledger: before refuse", lambda: bench.carry_out(wish))
    entry = bench.carry_out(wish)
    assert (entry.status, entry.added_budget, entry.reason) == (DONE, Decimal(60), None)


def test_what_was_noted_long_ago_does_not_leave(bench: DuplicationHarness) -> None:
    """Held up between the note and the request for so long that another looked and made it, it sends nothing."""
    wish = bench.wish(again=204)
    short = replace(bench.connection, patience=replace(POLICY, held_up_seconds=0.3))

    def take_over() -> None:
        lose_lease(bench)
        bench.carry_out(wish)

    with (
        short.open(once_at("request: before ad/create/", take_over)) as duplicator,
        pytest.raises(UnfinishedError, match="held up"),
    ):
        duplicator.carry_out(wish)
    assert bench.carry_out(wish).status == DONE
    assert counts(bench, wish) == [1, 1]


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
def test_a_clock_that_jumps_shortens_no_wait(bench: DuplicationHarness, jump: timedelta) -> None:
    """Another machine's clock, or one that was set, does not make a request under way look long over."""
    wish = bench.wish(again=205 + (jump < timedelta(0)))
    bench.host.misbehave("commit_late", path="ad/create", seconds=0.3)
    ended_at(bench, wish, "request: after ad/create/")
    with bench.connection.open() as duplicator:
        jumped = replace(duplicator.ledger, now=lambda: datetime.now(UTC) + jump)
        assert replace(duplicator, ledger=jumped).carry_out(wish).status == DONE
    time.sleep(0.3)
    assert counts(bench, wish) == [1, 1]


def test_a_lease_of_the_future_is_not_waited_for(bench: DuplicationHarness) -> None:
    """A lease left by a clock that was ahead is taken once nobody has renewed it for as long as it may hold."""
    wish = bench.wish(again=207)
    state = State(bench.connection.state_url)
    with state.transaction() as connection:
        row = {"name": f"duplicate:{wish.advertiser_id}", "owner": "gone"}
        connection.execute(sa.insert(leases).values(**row, until=datetime.now(UTC) + timedelta(days=300)))
    state.close()
    quick = replace(bench.connection.patience, lease_seconds=0.5, lease_wait_seconds=3.0)
    assert bench.carry_out(wish, patience=quick).status == DONE


def test_the_cap_counts_from_when_budget_is_added(bench: DuplicationHarness) -> None:
    """A wish refused days ago and begun anew, or sent only now, counts against today's cap."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    anew, late = bench.wish(again=208, budget=Decimal(5)), bench.wish(again=209, budget=Decimal(60))
    with bench.connection.open() as duplicator:
        then = replace(duplicator, ledger=replace(duplicator.ledger, now=lambda: long_ago))
        with pytest.raises(RefusedError):
            then.carry_out(anew)
    with bench.connection.open(once_at("ledger: before sending ad_group", end)) as duplicator:
        then = replace(duplicator, ledger=replace(duplicator.ledger, now=lambda: long_ago))
        with pytest.raises(Ended):
            then.carry_out(late)
    limit = Decimal(100)
    assert bench.carry_out(replace(anew, budget=Decimal(50)), max_added_budget=limit).status == DONE
    with pytest.raises(RefusedError, match=r"it would add 60 USD to 50 "):
        bench.carry_out(late, max_added_budget=limit)
    assert counts(bench, late) == [0, 0]
    bench.carry_out(late, max_added_budget=Decimal(110))
    with pytest.raises(RefusedError, match=r"it would add 50 USD to 110 "):
        bench.carry_out(bench.wish(again=210, budget=Decimal(50)), max_added_budget=Decimal(150))


def test_what_was_begun_otherwise_is_not_taken_for_what_is_asked(bench: DuplicationHarness) -> None:
    """Half made to be switched on, or with another budget, it is not finished for who asks for less."""
    wish = bench.wish(again=211)
    begun = replace(wish, enable=True, budget=Decimal(70))
    ended_at(bench, begun, "ledger: before sending ad")
    sent = len(bench.writes)
    with pytest.raises(RefusedError, match=r"begun to be switched on.*--enable"):
        bench.carry_out(wish)
    with pytest.raises(RefusedError, match=r"begun with a budget of 70"):
        bench.carry_out(replace(wish, enable=True, budget=Decimal(30)))
    assert len(bench.writes) == sent
    with bench.connection.open() as duplicator:
        entry = duplicator.ledger.find(wish.key)
        assert entry
        assert entry.status == STARTED != REFUSED
        assert "switched on" in format_dry_run(duplicator.rehearse(wish))
    assert bench.carry_out(entry.wish).status == DONE
    assert counts(bench, wish) == [1, 1]
