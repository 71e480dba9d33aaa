"""Test that a project chooses the tables, groups, prefix and executor of these definitions."""

from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.definitions import Publication, build_definitions
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets_tests.defs.conftest import DeploymentFactory

ACCOUNT_TABLES = ["advertisers", "campaigns", "ad_groups", "ads", "smart_plus_ads"]
PAGES = {"warehouse", "account_overview"}
CHOSEN = [*ACCOUNT_TABLES, "ad_report_daily", "ad_report_lifetime", "report_restatements", *sorted(PAGES)]
EXISTING = {*CHOSEN, *(f"{table}_history" for table in ACCOUNT_TABLES[1:])}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings below a new folder."""
    return load_settings(data_dir=str(tmp_path / "data"), state_dir=tmp_path / "state")


def list_keys(definitions: dg.Definitions) -> set[str]:
    """Return the keys of all assets."""
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.slow
def test_included_tables_refresh_without_the_others(make_deployment: DeploymentFactory) -> None:
    """A selection has its tables and their histories only, and every job and check of it succeeds."""
    deployment = make_deployment(include=CHOSEN)
    deployment.add_partitions()
    assert list_keys(deployment.definitions) == EXISTING
    dg.Definitions.validate_loadable(deployment.definitions)
    for stage in REFRESH_STAGES:
        assert all(result.success for result in deployment.refresh(stage))
    assert deployment.run("check_tables").success
    assert deployment.run("refresh_derived").success
    folder = Path(str(deployment.store.base))
    stored = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_")}
    # No account of this agency has a Smart+ ad, so no version of one was stored.
    assert stored | {"smart_plus_ads_history"} == EXISTING - PAGES


@pytest.mark.parametrize(
    ("include", "message"),
    [
        (["ad_report_daily"], "ad_report_daily is built from ads, which it leaves out. Add ads, advertisers."),
        (["ads_history", "advertisers"], "ads_history is built from ads, which it leaves out. Add ads."),
        (
            ["advertisers", "adz"],
            "no table is called 'adz'. With these settings there are advertisers, campaigns,",
        ),
        (
            ["advertisers", "report_restatements"],
            "report_restatements is built from daily reports, and it names none.",
        ),
        (["advertisers", "ad_audience_country_daily"], "no table is called 'ad_audience_country_daily'."),
    ],
)
def test_incomplete_selection_is_refused(settings: Settings, include: list[str], message: str) -> None:
    """A table without what it is built from, and one that does not exist, stop the load with a sentence."""
    with pytest.raises(SettingsError) as caught:
        build_definitions(settings, include=include)
    assert str(caught.value).startswith(f"include cannot be used: {message}")


def test_publishing_takes_the_included_tables(settings: Settings) -> None:
    """Of a selection only its tables can be published."""
    stored = Publication(io_manager_key="io_manager")
    keys = list_keys(build_definitions(settings, include=CHOSEN, published=stored))
    assert {key for key in keys if key.startswith("published/")} == {
        f"published/{table}" for table in EXISTING - PAGES
    }


def test_groups_are_replaced(settings: Settings) -> None:
    """All assets are in one group, or the assets of some groups in others."""

    def groups(definitions: dg.Definitions) -> set[str | None]:
        return {spec.group_name for spec in definitions.resolve_all_asset_specs()}

    assert groups(build_definitions(settings, group_name="tiktok")) == {"tiktok"}
    some = groups(build_definitions(settings, group_name={"account": "media", "scaling": "media"}))
    assert some == {"media", "reports", "insights", "serving"}
    with pytest.raises(SettingsError, match=r"no group is called 'reprots'\. The groups are account, insights, "):
        build_definitions(settings, group_name={"reprots": "x"})


def test_arguments_replace_settings(settings: Settings) -> None:
    """The prefix of an argument replaces that of the settings, and an invalid one is refused with a sentence."""
    assert "two/campaigns" in list_keys(build_definitions(settings, key_prefix="two"))
    with pytest.raises(SettingsError, match=r"^key_prefix cannot be used: 'a-b' is not a prefix of asset keys"):
        build_definitions(settings, key_prefix="a-b")


def test_executor_is_that_of_our_jobs_only(settings: Settings) -> None:
    """The executor goes to every job of ours, in the process by default, and to nothing else."""
    settings = settings.model_copy(update={"scaling_mode": "execute"})
    for given, used in ((None, dg.in_process_executor), (dg.multiprocess_executor, dg.multiprocess_executor)):
        definitions = build_definitions(settings, executor=given)
        assert definitions.executor is None
        jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
        assert len(jobs) == 9
        assert all(job.executor_def is used for job in jobs)
