"""The law of plans: whatever the accounts hold and whatever is asked for, the plan's requests are those sent."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.session import Session
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.spec.reports import REPORTS

HISTORY_DAYS = 50
SIZES = {"small": (4, 2, 2, 34), "paged": (1, 3, 67, 34), "large": (2, 20, 1001, 2)}
"""Accounts (of four, one is empty), ad groups, ads and the most days: from a page a month to two pages a day."""

TABLES = [
    "advertisers",
    *(entity.table for entity in LISTED_ENTITIES),
    *(report.table for report in REPORTS if report.standard),
]


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, RunningSandbox]]:
    """Accounts whose ads deliver every day, in three sizes."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                RunningSandbox(
                    WorldPlan(
                        dense=True, days=HISTORY_DAYS, advertisers=accounts, campaigns=1, ad_groups=groups, ads=ads
                    ),
                    limits=Limits(qps=None, qpm=None),
                )
            )
            for name, (accounts, groups, ads, _) in SIZES.items()
        }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    world=st.sampled_from(list(SIZES)),
    ago=st.integers(2, 12),
    days=st.integers(1, 34),
    tables=st.lists(st.sampled_from(TABLES), unique=True, min_size=1),
    named=st.booleans(),
    known=st.booleans(),
    some=st.booleans(),
)
def test_a_plan_names_the_requests_and_rows_that_follow(
    *,
    worlds: dict[str, RunningSandbox],
    tmp_path: Path,
    world: str,
    ago: int,
    days: int,
    tables: list[str],
    named: bool,
    known: bool,
    some: bool,
) -> None:
    """For any accounts, days and tables, a plan's requests and rows are those the host then counts and serves.

    The accounts are named in the settings or found, known from before or not, and all of them asked for or one.
    """
    sandbox = worlds[world]
    last = sandbox.clock.now().date() - timedelta(ago)
    window = DateWindow(last - timedelta(min(days, SIZES[world][3]) - 1), last)
    granted = sorted(one.id for one in sandbox.world.advertisers.values() if one.granted)
    owners = granted[:1] if some else granted
    chosen = settings_of(sandbox, tmp_path / uuid4().hex, advertiser_ids=",".join(granted) if named else "")
    with closing(Session(chosen)) as session:
        if known:
            refresh_advertisers(session.reader, session.store, session.advertiser_ids)
        told = plan_refresh(session, owners, window, tables)
    sandbox.state.requests.clear()
    with closing(Session(chosen)) as session:
        rows = read(session, owners, window, tables)
    assert told.requests == len(sandbox.state.requests)
    assert {line.subject: line.rows for line in told.lines if line.subject in tables} == dict(rows)


def settings_of(sandbox: RunningSandbox, folder: Path, **more: Any) -> Any:  # noqa: ANN401 - of any kind
    """The settings of a host, with tables in a folder."""
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        app_id=sandbox.app_id,
        app_secret=sandbox.secret,
        start_date=str(sandbox.clock.now().date() - timedelta(HISTORY_DAYS)),
        qps=1000,
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        **more,
    )


def read(session: Session, owners: Sequence[str], window: DateWindow, tables: Sequence[str]) -> Counter[str]:
    """Read tables as a refresh does, a report at a time, and count their rows."""
    reader, store = session.reader, session.store
    rows = Counter(dict.fromkeys(tables, 0))
    if session.advertiser_ids and "advertisers" in tables:
        rows["advertisers"] = refresh_advertisers(reader, store, session.advertiser_ids)[0].rows
    for entity in LISTED_ENTITIES:
        if entity.table in tables:
            count(rows, refresh_entity(reader, store, entity, owners))
    for report in session.settings.chosen_reports:
        if report.table in tables:
            accounts, _ = load_accounts(reader, store, session.settings, owners)
            count(rows, refresh_report(reader, store, report, dict.fromkeys(accounts, window.days)))
    return rows


def count(rows: Counter[str], outcomes: Iterator[WrittenPartition | FailedPartitions]) -> None:
    """Add the rows of what landed; the histories that come with a list are no reading."""
    for outcome in outcomes:
        assert isinstance(outcome, WrittenPartition), outcome
        if outcome.table in rows:
            rows[outcome.table] += outcome.rows
