"""Two hosts that share a state run the same version of the program, or the older one is refused."""

from contextlib import closing
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from tiktok_assets.defs import shared_format
from tiktok_assets.storage import State
from tiktok_assets_tests.defs.conftest import DeploymentFactory


def test_older_version_is_refused_before_anything_is_written(
    make_deployment: DeploymentFactory, disk_instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A run of a host whose format is older than that of the shared state fails without a request or a file."""
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    deployment = make_deployment(disk_instance, state_url=url)
    deployment.add_partitions()
    with closing(State(url)) as state:
        shared_format.require_shared_format(state)
        with state.transaction() as connection:
            connection.execute(sa.text("UPDATE program SET format = format + 1"))
    before = len(deployment.host.requests)

    result = deployment.run_range("refresh_accounts", deployment.advertiser_ids)

    assert not result.success
    assert len(deployment.host.requests) == before
    assert not list(Path(str(deployment.store.base)).rglob("*.parquet"))
    (event,) = [one for one in result.all_events if one.is_resource_init_failure]
    assert "install the same version on every host" in str(event.engine_event_data.error)


def test_newer_version_raises_the_format(tmp_path: Path) -> None:
    """The first host with a newer format writes it into the shared state; the same format is accepted for ever."""
    url = f"sqlite:///{tmp_path}/shared.sqlite"
    with closing(State(url)) as state:
        shared_format.require_shared_format(state)
        with state.transaction() as connection:
            connection.execute(sa.text("UPDATE program SET format = format - 1"))
        for _ in range(2):
            shared_format.require_shared_format(state)
            with state.transaction() as connection:
                assert connection.execute(sa.text("SELECT format FROM program")).scalars().all() == [
                    shared_format.FORMAT
                ]
