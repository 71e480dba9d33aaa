"""Tests that a plan counts the requests and rows of the refresh that follows."""

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

from tiktok_assets.api.report_tasks import TaskPolicy
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.plan import RefreshPlan, plan_refresh
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
"""Accounts, ad groups, ads and maximum days of each sandbox: from one page a month to two pages a day."""

TABLES = [
    "advertisers",
    *(entity.table for entity in LISTED_ENTITIES),
    *(report.table for report in REPORTS if report.is_standard),
]


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[dict[str, RunningSandbox]]:
    """Sandboxes of three sizes, whose ads deliver every day."""
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


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.sampled_from(list(SIZES)),
    days_ago=st.integers(2, 12),
    days=st.integers(1, 34),
    tables=st.lists(st.sampled_from(TABLES), unique=True, min_size=1),
    is_configured=st.booleans(),
    before=st.sampled_from(["nothing", "accounts", "tables"]),
    one_account=st.booleans(),
)
def test_plan_counts_requests_and_rows(
    *,
    sandboxes: dict[str, RunningSandbox],
    tmp_path: Path,
    size: str,
    days_ago: int,
    days: int,
    tables: list[str],
    is_configured: bool,
    before: str,
    one_account: bool,
) -> None:
    """For any accounts, days and tables, the plan has the requests and rows that the refresh then takes.

    The accounts are configured or listed, and all of them or one is refreshed. Before that nothing,
    the accounts or all tables to refresh were stored.
    """
    sandbox = sandboxes[size]
    last = sandbox.clock.now().date() - timedelta(days_ago)
    window = DateWindow(last - timedelta(min(days, SIZES[size][3]) - 1), last)
    granted = sorted(one.id for one in sandbox.world.advertisers.values() if one.granted)
    owners = granted[:1] if one_account else granted
    settings = build_settings(
        sandbox, tmp_path / uuid4().hex, advertiser_ids=",".join(granted) if is_configured else ""
    )
    with closing(Session(settings)) as session:
        if before == "accounts":
            refresh_advertisers(session.reader, session.store, session.advertiser_ids)
        if before == "tables":
            refresh_tables(session, owners, window, tables)
        plan = plan_refresh(session, owners, window, tables)
    sandbox.state.requests.clear()
    with closing(Session(settings)) as session:
        rows = refresh_tables(session, owners, window, tables)
    assert plan.requests == len(sandbox.state.requests)
    assert {line.subject: line.rows for line in plan.lines if line.subject in tables} == dict(rows)


TASK_POLICY = TaskPolicy(first_check_seconds=0.5, max_check_interval_seconds=1.0, assumed_seconds=0.5)
"""One check, and the sandbox finishes tasks at once: one check suffices, however slow the machine is."""


def plan_history(sandbox: RunningSandbox, folder: Path, setting: str) -> tuple[Session, RefreshPlan, DateWindow]:
    """Return an open session and its plan for 98 days of a report, the last ones complete."""
    last = sandbox.clock.now().date() - timedelta(3)
    window = DateWindow(last - timedelta(97), last)
    settings = build_settings(sandbox, folder, report_tasks=setting, metrics="spend,impressions", qps=5)
    sandbox.state.limiter.reset()
    session = Session(settings, task_policy=TASK_POLICY)
    owners = [one.id for one in sandbox.world.advertisers.values()]
    return session, plan_refresh(session, owners, window, ["ad_report_daily"]), window


@pytest.mark.slow
def test_plan_counts_the_requests_of_report_tasks(many_rows: RunningSandbox, tmp_path: Path) -> None:
    """A plan says that a task is cheaper, and has the requests that this takes; none of them is refused."""
    session, plan, window = plan_history(many_rows, tmp_path, "auto")
    many_rows.state.requests.clear()
    with closing(session):
        rows = refresh_tables(
            session, [one.id for one in many_rows.world.advertisers.values()], window, list(plan.ways)
        )
    assert plan.ways["ad_report_daily"].startswith(
        "1 report task: 7 requests in about 0.1 minutes; pages: 20 requests"
    )
    # The number of rows of a day is counted; the task takes one request, one check, a link and four totals.
    assert plan.requests == 2 + 1 + (1 + 1 + 1 + 4)
    assert plan.requests == len(many_rows.state.requests)
    assert sum(line.rows for line in plan.lines) == sum(rows.values())
    assert {one["code"] for one in many_rows.state.requests} == {0}


def test_plan_says_what_report_tasks_would_take(many_rows: RunningSandbox, tmp_path: Path) -> None:
    """If the setting excludes report tasks, the plan is that of pages, and says what tasks would take."""
    session, plan, _ = plan_history(many_rows, tmp_path, "never")
    session.close()
    assert plan.requests == 2 + 20
    assert plan.ways["ad_report_daily"].startswith(
        "pages: 20 requests in about 0.1 minutes; with TIKTOK_REPORT_TASKS=auto 1"
    )


@pytest.fixture(scope="module")
def many_rows() -> Iterator[RunningSandbox]:
    """Run a sandbox with the limits of the basic tier, and an account with six pages a month."""
    plan = WorldPlan(dense=True, days=101, advertisers=1, campaigns=1, ad_groups=1, ads=200)
    with RunningSandbox(plan) as sandbox:
        sandbox.state.tasks.queue_seconds = sandbox.state.tasks.processing_seconds = 0.0
        yield sandbox


def build_settings(sandbox: RunningSandbox, folder: Path, **more: Any) -> Any:  # noqa: ANN401 - of any kind
    """Return settings for a sandbox, with data and state below a folder."""
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        app_id=sandbox.app_id,
        app_secret=sandbox.secret,
        start_date=str(sandbox.clock.now().date() - timedelta(HISTORY_DAYS)),
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        **{"qps": 1000, **more},
    )


def refresh_tables(
    session: Session, owners: Sequence[str], window: DateWindow, tables: Sequence[str]
) -> Counter[str]:
    """Refresh tables and return the rows of each."""
    reader, store = session.reader, session.store
    rows = Counter(dict.fromkeys(tables, 0))
    if session.advertiser_ids and "advertisers" in tables:
        rows["advertisers"] = refresh_advertisers(reader, store, session.advertiser_ids)[0].rows
    for entity in LISTED_ENTITIES:
        if entity.table in tables:
            add_rows(rows, refresh_entity(reader, store, entity, owners))
    for report in session.settings.chosen_reports:
        if report.table in tables:
            accounts, _ = load_accounts(reader, store, session.settings, owners)
            add_rows(rows, refresh_report(reader, store, report, dict.fromkeys(accounts, window.days)))
    return rows


def add_rows(rows: Counter[str], outcomes: Iterator[WrittenPartition | FailedPartitions]) -> None:
    """Add the rows of written partitions; history tables take no request and are not counted."""
    for outcome in outcomes:
        assert isinstance(outcome, WrittenPartition), outcome
        if outcome.table in rows:
            rows[outcome.table] += outcome.rows
