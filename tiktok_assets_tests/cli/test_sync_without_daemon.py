"""Tests of what `sync` does beside the refresh: finish duplications, deliver alerts and flag top spenders."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tiktok_assets.alerts.outbox import Alert, enqueue
from tiktok_assets.cli.sync import run_sync
from tiktok_assets.cli.sync_result import SyncRequest, SyncResult
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DONE, STARTED, DuplicationRequest
from tiktok_assets.sandbox.http.rate_limits import Limits
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world.model import Scenario, WorldPlan
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, flags, outbox, top_spender_changes
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.cli.test_duplicate import run
from tiktok_assets_tests.duplication.harness import (
    APPROVED_ON_TERMINAL,
    DuplicationHarness,
    SimulatedKill,
    call_once_at,
    open_harness,
    simulate_kill,
)


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[DuplicationHarness]:
    """A harness on a sandbox with one account and its scenario."""
    plan = WorldPlan(advertisers=1, campaigns=2, ad_groups=2, ads=2, days=80)
    with Host.run(plan) as host, open_harness(host, tmp_path) as harness:
        yield harness


def build_settings(harness: DuplicationHarness, folder: Path, mode: str) -> Settings:
    """Return settings with folders of their own, two reports and no alert channels."""
    sandbox = harness.host.sandbox
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        advertiser_ids=harness.owner.id,
        start_date=(sandbox.clock.now().date()).isoformat(),
        reports="ad_report_lifetime,campaign_report_lifetime",
        scaling_mode=mode,
        scaling_campaigns={harness.owner.id: harness.scaling_campaign.id},
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        dagster_home=folder / "dagster",
        qps=1000,
    )


def interrupt_duplication(settings: Settings, request: DuplicationRequest) -> None:
    """Run a live duplication that stops after its ad group is created."""
    with open_session(settings) as session:
        duplicator = session.create_duplicator(approval=APPROVED_ON_TERMINAL)
        ledger = replace(duplicator.ledger, checkpoint=call_once_at("ledger: before sending ad", simulate_kill))
        interrupted = replace(duplicator, ledger=ledger)
        with pytest.raises(SimulatedKill):
            interrupted.duplicate(request)


@pytest.mark.slow
def test_sync_finishes_duplications_but_starts_none(harness: DuplicationHarness, tmp_path: Path) -> None:
    """A full `sync` finishes a started duplication and delivers the outbox; a flag alone starts no duplication."""
    settings, request = build_settings(harness, tmp_path, "execute"), harness.request(again=1)
    interrupt_duplication(settings, request)
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 0]
    with open_session(settings) as session, session.state.transaction() as connection:
        enqueue(connection, Alert("waits", "run_failure", "T", "t", "m", "h", "c", "b", {}), [], session.now())
        row = {
            "advertiser_id": request.advertiser_id,
            "campaign_id": "1",
            "ad_id": request.ad_id,
            "currency": "USD",
        }
        key = {name: row[name] for name in ("advertiser_id", "campaign_id", "ad_id")}
        connection.execute(sa.insert(flags).values(**key, flag_id="f", flagged_at=session.now(), facts=row))
    status = run(harness, tmp_path, "--status")
    assert request.key in status.out
    assert "ad group created" in status.out

    lines: list[str] = []
    with open_session(settings) as session:
        run_sync(settings, session, SyncRequest(select="campaigns"), lines.append)
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 0]
    with open_session(settings) as session:
        assert Ledger(session.state).entries(status=STARTED)
        result = run_sync(settings, session, SyncRequest(), lines.append)
        assert [entry.request for entry in Ledger(session.state).entries(status=DONE)] == [request]
        with session.state.transaction() as connection:
            assert set(connection.scalars(sa.select(outbox.c.status))) == {"delivered"}
    assert result.failures == []
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    assert any(line.startswith(f"duplicate_ad: finishes {request.key}") for line in lines)
    assert (tmp_path / "state" / "alerts" / "waits.html").exists()
    assert len(harness.write_requests) == 2  # none for the flag: only the daemon's sensor starts duplications


FLAG_TABLES = (
    "campaigns,ad_groups,ads,ad_report_lifetime,campaign_report_lifetime,"
    "top_spenders,duplication_candidates,warehouse"
)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox with one account and its scenario."""
    plan = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def scenario(sandbox: RunningSandbox) -> Scenario:
    """The scenario of the sandbox: which ad overtakes which, and when."""
    assert sandbox.world.scenario
    return sandbox.world.scenario


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    """Settings with folders of their own and no alert channels."""
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        app_id=sandbox.app_id,
        app_secret=sandbox.secret,
        start_date="2026-10-01",
        reports="ad_report_lifetime,campaign_report_lifetime",
        data_dir=str(tmp_path / "data"),
        state_dir=tmp_path / "state",
        dagster_home=tmp_path / "dagster",
        qps=1000,
    )


def sync_tables(settings: Settings, select: str) -> tuple[SyncResult, list[str]]:
    """Run one `sync` of some tables; return its result and its log lines."""
    lines: list[str] = []
    with open_session(settings) as session:
        return run_sync(settings, session, SyncRequest(select=select), lines.append), lines


@pytest.mark.slow
def test_sync_flags_a_new_top_spender_once(
    settings: Settings, sandbox: RunningSandbox, scenario: Scenario
) -> None:
    """A sync that finds a new top spender flags it in its tables; the next sync does not flag it again."""
    sandbox.clock.set(scenario.t2)
    baseline = {
        "advertiser_id": scenario.advertiser_id,
        "campaign_id": scenario.campaign_id,
        "observed_at": scenario.t1,
    }
    state = State(settings.state_database_url)
    with state.transaction() as connection:
        row = {**baseline, "ad_id": scenario.old_leader_ad_id, "facts": {}}
        connection.execute(sa.insert(top_spender_changes).values(row))
    result, lines = sync_tables(settings, FLAG_TABLES)
    name = f"Unboxing UGC | v4 ({scenario.new_leader_ad_id}) in campaign {scenario.campaign_id}"
    assert result.failures == []
    assert f"New top spender: {name}." in lines
    assert any(line.startswith(f"flag_top_spender: ad {scenario.new_leader_ad_id}, ") for line in lines)
    with duckdb.connect(str(Path(settings.data_dir, "warehouse.duckdb")), read_only=True) as warehouse:
        rows = warehouse.execute("SELECT ad_id, status FROM duplication_candidates").fetchall()
    assert rows == [(scenario.new_leader_ad_id, "flagged")]
    again, lines = sync_tables(settings, "top_spenders")
    assert again.failures == []
    assert not any(line.startswith(("New top spender", "flag_top_spender")) for line in lines)
    with state.transaction() as connection:
        assert connection.scalars(sa.select(flags.c.ad_id)).all() == [scenario.new_leader_ad_id]
        assert len(connection.execute(sa.select(outbox)).all()) == 1
    state.close()
