"""Laws of flags without a daemon: `sync` flags whom the sensor would, once, and its tables hold the flag."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from tiktok_assets.commands.sync import Asked, Synced, sync
from tiktok_assets.sandbox.limits import Limits
from tiktok_assets.sandbox.plan import WorldPlan
from tiktok_assets.sandbox.running import RunningSandbox
from tiktok_assets.sandbox.world import Story
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import State, flags, outbox, top_spender_changes

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
def story(sandbox: RunningSandbox) -> Story:
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


def synced(settings: Settings, select: str) -> tuple[Synced, list[str]]:
    """One `sync`, and what it told."""
    told: list[str] = []
    with open_session(settings) as session:
        return sync(settings, session, Asked(select=select), told.append), told


def test_sync_flags_the_ad_that_overtakes_once(settings: Settings, sandbox: RunningSandbox, story: Story) -> None:
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
