"""Test that two sets of definitions and those of a project are apart in names, runs and partitions."""

from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.definitions import Publication, build_definitions
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.defs.schedules import find_latest_refresh
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import DeploymentFactory, open_deployment


def build_settings(folder: Path, **overrides: object) -> Settings:
    """Return settings below a folder, without a token."""
    return load_settings(data_dir=str(folder / "data"), state_dir=folder / "state", access_token=None, **overrides)


def list_names(definitions: dg.Definitions) -> dict[str, set[str]]:
    """Return every name of definitions by its kind."""
    repository = definitions.get_repository_def()
    partitions = {
        str(definition.name)
        for assets in repository.assets_defs_by_key.values()
        if isinstance(definition := assets.partitions_def, dg.DynamicPartitionsDefinition)
    }
    return {
        "keys": {key.to_user_string() for key in repository.assets_defs_by_key},
        "ops": {assets.op.name for assets in repository.assets_defs_by_key.values()},
        "jobs": {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")},
        "schedules": {one.name for one in repository.schedule_defs},
        "sensors": {one.name for one in repository.sensor_defs},
        "resources": set(definitions.resources or {}),
        "partitions": partitions,
    }


@pytest.mark.slow
def test_host_with_the_same_names_can_be_merged(tmp_path: Path) -> None:
    """A project's own `campaigns`, executor, IO manager and schedule load together with two sets of ours."""

    @dg.asset
    def campaigns() -> None: ...

    @dg.schedule(name="daily_refresh", target="campaigns", cron_schedule="0 5 * * *")
    def daily_refresh() -> dg.RunRequest:
        return dg.RunRequest()

    own = dg.Definitions(
        assets=[campaigns],
        schedules=[daily_refresh],
        executor=dg.multiprocess_executor,
        resources={"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path)), "tiktok": "theirs"},
    )
    modes = {"scaling_mode": "execute"}
    sets = [
        build_definitions(
            build_settings(tmp_path / prefix, **modes),
            key_prefix=prefix,
            published=Publication(io_manager_key="io_manager"),
        )
        for prefix in ("one", "agency/two")
    ]
    merged = dg.Definitions.merge(own, *sets)
    dg.Definitions.validate_loadable(merged)
    of_sets = [list_names(one) for one in sets]
    for kind, names in of_sets[0].items():
        assert names, kind
        assert not names & of_sets[1][kind], kind
        assert not names & list_names(own).get(kind, set()), kind
    job = merged.resolve_job_def("one_refresh_daily")
    assert job.executor_def is dg.in_process_executor
    assert merged.executor is dg.multiprocess_executor
    assert merged.get_repository_def().get_schedule_def("daily_refresh").cron_schedule == "0 5 * * *"
    published = merged.get_repository_def().assets_defs_by_key[dg.AssetKey(["one", "published", "campaigns"])]
    assert published.get_io_manager_key_for_asset_key(published.key) == "io_manager"


def test_names_without_a_prefix_are_plain(tmp_path: Path) -> None:
    """Without a prefix the names are those of the contract."""
    names = list_names(build_definitions(build_settings(tmp_path)))
    assert {"campaigns", "ad_report_daily", "warehouse"} <= names["keys"]
    assert {"refresh_accounts", "check_tables", "backfill_history"} <= names["jobs"]
    assert names["schedules"] == {"daily_refresh", "monthly_compaction"}
    assert names["resources"] == {"tiktok", "hive_parquet"}
    assert names["partitions"] == {"advertiser_id"}


@pytest.mark.slow
def test_prefixed_set_refreshes_like_any_other(make_deployment: DeploymentFactory) -> None:
    """A refresh and the derived tables run under the prefix, with one table under a key of its own."""
    deployment = make_deployment(key_prefix="agency/one", asset_keys={"ads": "marketing/tiktok_ads"})
    names = Names(deployment.settings)
    deployment.add_partitions()
    for stage in REFRESH_STAGES:
        assert all(result.success for result in deployment.refresh(stage))
    assert deployment.run_range("refresh_derived", deployment.advertiser_ids).success
    keys = {key.to_user_string() for key in deployment.instance.all_asset_keys()}
    assert {"agency/one/campaigns", "agency/one/top_spenders", "marketing/tiktok_ads"} <= keys
    assert not {key for key in keys if not key.startswith("agency/one/")} - {"marketing/tiktok_ads"}
    assert list(deployment.store.partitions("ads"))
    assert deployment.instance.get_dynamic_partitions("agency_one_advertiser_id") == deployment.advertiser_ids
    assert names.table(dg.AssetKey(["marketing", "tiktok_ads"])) == "ads"


@pytest.mark.slow
def test_refreshes_of_two_sets_are_apart(host: Host, tmp_path: Path) -> None:
    """A set does not take the refresh of another one in the same instance for its own."""
    with (
        dg.DagsterInstance.ephemeral() as instance,
        open_deployment(host, tmp_path / "1", instance, key_prefix="one") as one,
        open_deployment(host, tmp_path / "2", instance, key_prefix="two") as two,
    ):
        one.add_partitions()
        assert two.instance.get_dynamic_partitions(Names(two.settings).partitions_name) == []
        assert all(result.success for result in one.refresh("refresh_accounts"))
        assert find_latest_refresh(instance, Names(one.settings)) == one.now.isoformat()
        assert find_latest_refresh(instance, Names(two.settings)) is None


@pytest.mark.parametrize("prefix", ["1st", "a-b", "a//b", "/a", "a b", "ä"])
def test_invalid_prefix_is_refused(prefix: str, tmp_path: Path) -> None:
    """A prefix that is no asset key and no name is refused in one sentence."""
    with pytest.raises(
        SettingsError, match=r"^TIKTOK_KEY_PREFIX cannot be used: .* such as tiktok or agency/tiktok"
    ):
        build_settings(tmp_path, key_prefix=prefix)


@pytest.mark.parametrize("keys", [{"ads": "x", "campaigns": "x"}, {"ads": "campaigns"}, {"adz": "x"}])
def test_key_of_another_table_is_refused(keys: dict[str, str], tmp_path: Path) -> None:
    """Two tables cannot have one key, and a table that does not exist cannot have any."""
    with pytest.raises(SettingsError, match=r"^TIKTOK_ASSET_KEYS cannot be used: .*\."):
        build_definitions(build_settings(tmp_path, asset_keys=keys))


def test_foreign_asset_cannot_replace_a_table(make_deployment: DeploymentFactory) -> None:
    """An asset of the project with the name of a table cannot write over it with our IO manager."""
    deployment = make_deployment(key_prefix="one")
    manager = (deployment.definitions.resources or {})[Names(deployment.settings).io_manager]
    context = dg.build_output_context(asset_key=dg.AssetKey(["campaigns"]))
    with pytest.raises(dg.Failure, match="campaigns would replace the table campaigns of one/campaigns"):
        manager.handle_output(context, None)
