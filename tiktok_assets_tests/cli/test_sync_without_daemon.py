"""Laws of duplications without a daemon: `sync` finishes what a person began live, begins nothing, and tells."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tiktok_assets.alerts.outbox import Alert, enqueue
from tiktok_assets.cli.sync import SyncRequest, SyncResult, run_sync
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
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness, open_harness
from tiktok_assets_tests.duplication.test_lease_takeover import Ended, end, once_at


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DuplicationHarness]:
    """A world of one account and its story."""
    plan = WorldPlan(advertisers=1, campaigns=2, ad_groups=2, ads=2, days=80)
    with Host.run(plan) as host, open_harness(host, tmp_path) as one:
        yield one


def settings_of(bench: DuplicationHarness, folder: Path, mode: str) -> Settings:
    """A folder of their own, little to read, and nobody to tell but the folder of alerts."""
    sandbox = bench.host.sandbox
    return load_settings(
        base_url=sandbox.base_url,
        access_token=sandbox.token,
        advertiser_ids=bench.owner.id,
        start_date=(sandbox.clock.now().date()).isoformat(),
        reports="ad_report_lifetime,campaign_report_lifetime",
        scaling_mode=mode,
        scaling_campaigns={bench.owner.id: bench.scaling.id},
        data_dir=str(folder / "data"),
        state_dir=folder / "state",
        dagster_home=folder / "dagster",
        qps=1000,
    )


def half_made(settings: Settings, wish: DuplicationRequest) -> None:
    """A live duplication whose process ended after the ad group."""
    with open_session(settings) as session:
        duplicator = session.duplicator(approval=APPROVED_ON_TERMINAL)
        ledger = replace(duplicator.ledger, checkpoint=once_at("ledger: before sending ad", end))
        ending = replace(duplicator, ledger=ledger)
        with pytest.raises(Ended):
            ending.carry_out(wish)


def test_sync_finishes_what_was_begun_and_begins_nothing(bench: DuplicationHarness, tmp_path: Path) -> None:
    """`--status` names what is half made; a whole `sync` makes the rest and hands over what the outbox holds."""
    settings, wish = settings_of(bench, tmp_path, "execute"), bench.wish(again=1)
    half_made(settings, wish)
    assert [len(rows) for rows in bench.made(wish)] == [1, 0]
    with open_session(settings) as session, session.state.transaction() as connection:
        enqueue(connection, Alert("waits", "run_failure", "T", "t", "m", "h", "b", {}), [], session.now())
        row = {"advertiser_id": wish.advertiser_id, "campaign_id": "1", "ad_id": wish.ad_id, "currency": "USD"}
        key = {name: row[name] for name in ("advertiser_id", "campaign_id", "ad_id")}
        connection.execute(sa.insert(flags).values(**key, flag_id="f", flagged_at=session.now(), facts=row))
    told = run(bench, tmp_path, "--status")
    assert wish.key in told.out
    assert "ad group made" in told.out

    lines: list[str] = []
    with open_session(settings) as session:
        run_sync(settings, session, SyncRequest(select="campaigns"), lines.append)
    assert [len(rows) for rows in bench.made(wish)] == [1, 0]
    with open_session(settings) as session:
        assert Ledger(session.state).entries(status=STARTED)
        synced = run_sync(settings, session, SyncRequest(), lines.append)
        assert [entry.wish for entry in Ledger(session.state).entries(status=DONE)] == [wish]
        with session.state.transaction() as connection:
            assert set(connection.scalars(sa.select(outbox.c.status))) == {"delivered"}
    assert synced.failures == []
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    assert any(line.startswith(f"duplicate_ad: finishes {wish.key}") for line in lines)
    assert (tmp_path / "state" / "alerts" / "waits.html").exists()
    assert len(bench.writes) == 2  # nothing for the flag: who wants that starts the daemon's sensor


FLAGGING = (
    "campaigns,ad_groups,ads,ad_report_lifetime,campaign_report_lifetime,"
    "top_spenders,duplication_candidates,warehouse"
)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """One account with the story."""
    plan = WorldPlan(days=90, advertisers=1, campaigns=1, ad_groups=2, ads=2)
    with RunningSandbox(plan, limits=Limits(qps=None, qpm=None)) as running:
        yield running


@pytest.fixture
def story(sandbox: RunningSandbox) -> Scenario:
    """Who overtakes whom, and when."""
    assert sandbox.world.story
    return sandbox.world.story


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    """A folder of their own, and nobody to tell but the folder of alerts."""
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


def synced(settings: Settings, select: str) -> tuple[SyncResult, list[str]]:
    """One `sync`, and what it told."""
    told: list[str] = []
    with open_session(settings) as session:
        return run_sync(settings, session, SyncRequest(select=select), told.append), told


def test_sync_flags_the_ad_that_overtakes_once(
    settings: Settings, sandbox: RunningSandbox, story: Scenario
) -> None:
    """A sync that sees another leader than before flags it and has it in its tables; the next is quiet."""
    sandbox.clock.set(story.t2)
    baseline = {"advertiser_id": story.advertiser_id, "campaign_id": story.campaign_id, "observed_at": story.t1}
    state = State(settings.state_address)
    with state.transaction() as connection:
        row = {**baseline, "ad_id": story.old_leader_ad_id, "facts": {}}
        connection.execute(sa.insert(top_spender_changes).values(row))
    done, told = synced(settings, FLAGGING)
    name = f"Unboxing UGC | v4 ({story.new_leader_ad_id}) in campaign {story.campaign_id}"
    assert done.failures == []
    assert f"New top spender: {name}." in told
    assert any(line.startswith(f"flag_top_spender: ad {story.new_leader_ad_id}, ") for line in told)
    with duckdb.connect(str(Path(settings.data_dir, "warehouse.duckdb")), read_only=True) as warehouse:
        rows = warehouse.execute("SELECT ad_id, status FROM duplication_candidates").fetchall()
    assert rows == [(story.new_leader_ad_id, "flagged")]
    again, told = synced(settings, "top_spenders")
    assert again.failures == []
    assert not any(line.startswith(("New top spender", "flag_top_spender")) for line in told)
    with state.transaction() as connection:
        assert connection.scalars(sa.select(flags.c.ad_id)).all() == [story.new_leader_ad_id]
        assert len(connection.execute(sa.select(outbox)).all()) == 1
    state.close()
