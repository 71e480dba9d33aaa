"""Laws of duplications without a daemon: `sync` finishes what a person began live, begins nothing, and tells."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tiktok_assets.commands.sync import Asked, sync
from tiktok_assets.sandbox.plan import WorldPlan
from tiktok_assets.scaling.duplication import DONE, STARTED, Wish
from tiktok_assets.scaling.ledger import Ledger
from tiktok_assets.scaling.outbox import Alert, put
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.storage.state import flags, outbox
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.commands.test_duplicate import run
from tiktok_assets_tests.scaling.bench import ANSWERED, Bench, bench_at
from tiktok_assets_tests.scaling.test_taking_over import Ended, end, once_at


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A world of one account and its story."""
    plan = WorldPlan(advertisers=1, campaigns=2, ad_groups=2, ads=2, days=80)
    with Host.run(plan) as host, bench_at(host, tmp_path) as one:
        yield one


def settings_of(bench: Bench, folder: Path, mode: str) -> Settings:
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


def half_made(settings: Settings, wish: Wish) -> None:
    """A live duplication whose process ended after the ad group."""
    with open_session(settings) as session:
        duplicator = session.duplicator(approval=ANSWERED)
        ledger = replace(duplicator.ledger, checkpoint=once_at("ledger: before sending ad", end))
        ending = replace(duplicator, ledger=ledger)
        with pytest.raises(Ended):
            ending.carry_out(wish)


def test_sync_finishes_what_was_begun_and_begins_nothing(bench: Bench, tmp_path: Path) -> None:
    """`--status` names what is half made; a whole `sync` makes the rest and hands over what the outbox holds."""
    settings, wish = settings_of(bench, tmp_path, "execute"), bench.wish(again=1)
    half_made(settings, wish)
    assert [len(rows) for rows in bench.made(wish)] == [1, 0]
    with open_session(settings) as session, session.state.transaction() as connection:
        put(connection, Alert("waits", "run_failure", "T", "t", "m", "h", "b", {}), [], session.now())
        row = {"advertiser_id": wish.advertiser_id, "campaign_id": "1", "ad_id": wish.ad_id, "currency": "USD"}
        key = {name: row[name] for name in ("advertiser_id", "campaign_id", "ad_id")}
        connection.execute(sa.insert(flags).values(**key, flag_id="f", flagged_at=session.now(), facts=row))
    told = run(bench, tmp_path, "--status")
    assert wish.key in told.out
    assert "ad group made" in told.out

    lines: list[str] = []
    with open_session(settings) as session:
        sync(settings, session, Asked(select="campaigns"), lines.append)
    assert [len(rows) for rows in bench.made(wish)] == [1, 0]
    with open_session(settings) as session:
        assert Ledger(session.state).entries(status=STARTED)
        synced = sync(settings, session, Asked(), lines.append)
        assert [entry.wish for entry in Ledger(session.state).entries(status=DONE)] == [wish]
        with session.state.transaction() as connection:
            assert set(connection.scalars(sa.select(outbox.c.status))) == {"delivered"}
    assert synced.failures == []
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    assert any(line.startswith(f"duplicate_ad: finishes {wish.key}") for line in lines)
    assert (tmp_path / "state" / "alerts" / "waits.html").exists()
    assert len(bench.writes) == 2  # nothing for the flag: who wants that starts the daemon's sensor
