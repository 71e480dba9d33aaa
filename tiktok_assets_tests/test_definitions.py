"""Test the code location: its assets and jobs, that it loads anywhere, and that loading sends no request."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]  # ships no types

from tiktok_assets.definitions import build_definitions
from tiktok_assets.defs.asset_attributes import build_freshness_policy
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets.tables.schema import build_schema
from tiktok_assets_tests.api.conftest import Listener
from tiktok_assets_tests.environment import clean_environment

ROOT = Path(__file__).parent.parent
REPORTS = {
    f"{level}_report_{kind}"
    for level in ("advertiser", "campaign", "ad_group", "ad")
    for kind in ("daily", "lifetime")
}
SMART_PLUS_REPORTS = {
    f"smart_plus_{row}_report_{kind}" for row in ("ad", "creative") for kind in ("daily", "lifetime")
}
LISTED = ("campaigns", "ad_groups", "ads", "smart_plus_ads")
GROUPS = {
    "account": {
        "advertisers",
        *LISTED,
        *(f"{table}_history" for table in LISTED),
        "videos",
        "images",
        "posts",
        "gmv_max_shops",
    },
    "reports": REPORTS | SMART_PLUS_REPORTS | {"gmv_max_report_daily", "report_restatements"},
    "insights": {"creatives", "creative_daily", "creative_declines", "top_spenders", "account_overview"},
    "scaling": {"duplication_candidates", "ad_duplications", "duplication_results"},
    "serving": {"warehouse"},
}
"""The standard assets by group."""

BY_DAY = {name for name in GROUPS["reports"] if name.endswith("daily")} | {"report_restatements"}
FILES = {"account_overview", "warehouse"}
WITHOUT_PARTITIONS = {"advertisers", "account_overview", "warehouse"}


@pytest.fixture(autouse=True)
def _instance() -> Iterator[None]:
    """Open an instance, because Dagster uses the last one of the process, which another test may have closed."""
    with dg.DagsterInstance.ephemeral():
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of a new folder, without a token."""
    return load_settings(
        access_token=None, data_dir=str(tmp_path / "data"), state_dir=tmp_path / "state", start_date="2026-10-01"
    )


@pytest.fixture
def specs(settings: Settings) -> Mapping[str, dg.AssetSpec]:
    """Return the spec of every asset by its name."""
    found = build_definitions(settings).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec for spec in found}


def test_every_asset_has_its_attributes(specs: Mapping[str, dg.AssetSpec], settings: Settings) -> None:
    """Each asset has owners, kinds, a description, a code version, and is late hours after the next refresh."""
    for name, spec in specs.items():
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.description, name
        assert spec.code_version, name
        assert spec.freshness_policy == build_freshness_policy(settings), name
    assert build_freshness_policy(settings) == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=30), warn_window=timedelta(hours=26)
    )
    weekly = settings.model_copy(update={"refresh_cron": "0 6 * * 1"})
    assert build_freshness_policy(weekly) == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=7, hours=6), warn_window=timedelta(days=7, hours=2)
    )


def test_code_version_changes_with_columns(specs: Mapping[str, dg.AssetSpec], settings: Settings) -> None:
    """A table with other columns has another code version; a table with the same keeps it."""
    fewer = settings.model_copy(update={"metrics": "spend,impressions"})
    others = {
        spec.key.to_user_string(): spec.code_version for spec in build_definitions(fewer).resolve_all_asset_specs()
    }
    assert others["ad_report_daily"] != specs["ad_report_daily"].code_version
    assert others["campaigns"] == specs["campaigns"].code_version


def test_column_lineage_names_columns_of_dependencies(specs: Mapping[str, dg.AssetSpec]) -> None:
    """A derived column names existing columns of tables its asset depends on, or the state adds it."""
    without: dict[str, set[str]] = {}
    for name, spec in specs.items():
        if "dagster/column_lineage" not in spec.metadata:
            continue
        schema, lineage = spec.metadata["dagster/column_schema"], spec.metadata["dagster/column_lineage"]
        without[name] = {column.name for column in schema.columns} - lineage.deps_by_column.keys()
        for column, deps in lineage.deps_by_column.items():
            for dep in deps:
                source = specs[dep.asset_key.to_user_string()]
                assert dep.asset_key in {one.asset_key for one in spec.deps}, (name, column, dep)
                columns = {one.name for one in source.metadata["dagster/column_schema"].columns}
                assert dep.column_name in columns, (name, column, dep)
    assert without == {
        "creatives": set(),
        "creative_daily": set(),
        "creative_declines": {"decline_id", "found_at", "is_told", "z_threshold"},
        "top_spenders": set(),
        "duplication_candidates": {"flag_id", "flagged_at", "guardrails", "reason", "status"},
        "duplication_results": {"days"},
        "report_restatements": {"is_complete", "report", "timezone", "was_complete"},
    }


def test_assets_match_the_contract(specs: Mapping[str, dg.AssetSpec]) -> None:
    """The definitions hold exactly the standard assets, each in its group."""
    groups: dict[str | None, set[str]] = {}
    for name, spec in specs.items():
        groups.setdefault(spec.group_name, set()).add(name)
    assert groups == GROUPS


def test_partitions_match_the_contract(specs: Mapping[str, dg.AssetSpec]) -> None:
    """Daily reports are partitioned by account and day, other tables by account, three assets not at all."""
    for name, spec in specs.items():
        kind = type(spec.partitions_def)
        if name in WITHOUT_PARTITIONS:
            assert spec.partitions_def is None
        else:
            assert kind is (dg.MultiPartitionsDefinition if name in BY_DAY else dg.DynamicPartitionsDefinition)


def test_every_asset_has_a_description(specs: Mapping[str, dg.AssetSpec]) -> None:
    """Each asset has a one-sentence description, and each table a column schema with types and descriptions."""
    for name, spec in specs.items():
        assert spec.description
        assert spec.description.endswith(".")
        assert "\n" not in spec.description
        if name in FILES:
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        names = [column.name for column in schema.columns]
        assert len(set(names)) == len(names)
        assert "fetched_at" in names
        assert all(column.type and column.description for column in schema.columns)


def test_column_schema_matches_the_stored_columns(settings: Settings, specs: Mapping[str, dg.AssetSpec]) -> None:
    """The column schema of each asset has the stored columns in their order."""
    for table, columns in get_stored_tables(settings).items():
        shown = [column.name for column in specs[table].metadata["dagster/column_schema"].columns]
        assert shown == list(build_schema(columns))


def test_every_dependency_is_a_known_asset(specs: Mapping[str, dg.AssetSpec]) -> None:
    """No asset depends on an unknown one, and the warehouse depends on every table."""
    for spec in specs.values():
        assert {dep.asset_key.to_user_string() for dep in spec.deps} <= specs.keys()
    assert {dep.asset_key.to_user_string() for dep in specs["warehouse"].deps} == specs.keys() - FILES


def test_jobs_match_the_contract(settings: Settings) -> None:
    """The jobs are the stages, derived tables, backfill, compaction, checks and flag, with descriptions."""
    jobs = {job.name: job for job in build_definitions(settings).resolve_all_job_defs()}
    ours = {name for name in jobs if not name.startswith("__")}
    assert ours == {
        "refresh_accounts",
        "refresh_daily",
        "refresh_lifetime",
        "refresh_derived",
        "backfill_history",
        "check_tables",
        "compact_months",
        "flag_top_spender",
    }
    assert all(str(jobs[name].description).endswith(".") for name in ours)


def test_definitions_can_be_merged(settings: Settings) -> None:
    """Definitions merged with assets of another project are valid."""

    @dg.asset
    def mine() -> None:
        """Return nothing; an asset of another project."""

    merged = dg.Definitions.merge(build_definitions(settings), dg.Definitions(assets=[mine]))
    dg.Definitions.validate_loadable(merged)


@pytest.mark.slow
@pytest.mark.parametrize("reports", ["ad_report_daily", "ad_report_lifetime", "+ad_report_daily", ""])
def test_every_choice_of_reports_loads(tmp_path: Path, reports: str) -> None:
    """With any choice of reports the definitions are valid and hold the chosen tables."""
    settings = load_settings(reports=reports, data_dir=str(tmp_path), state_dir=tmp_path)
    definitions = build_definitions(settings)
    dg.Definitions.validate_loadable(definitions)
    tables = {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}
    assert tables >= {report.table for report in settings.chosen_reports} | {"warehouse"}


def _environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of this process without this project's and Dagster's settings, except these."""
    return clean_environment({"DAGSTER_HOME": str(folder), "PYTHONPATH": str(ROOT), **variables})


@pytest.mark.slow
def test_loading_needs_no_token_and_no_connection(tmp_path: Path) -> None:
    """`dagster definitions validate -w workspace.yaml` succeeds without a token and opens no connection."""
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with Listener() as listener:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
            cwd=tmp_path,
            env=_environment(tmp_path, TIKTOK_BASE_URL=listener.url),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert listener.connections == 0
    assert "Validation successful for code location tiktok_assets." in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_invalid_setting_fails_the_load(tmp_path: Path) -> None:
    """Loading raises an error that names the variable and where to change it."""
    done = subprocess.run(
        [sys.executable, "-c", "from tiktok_assets.definitions import defs; defs.load_fn()"],
        cwd=tmp_path,
        env=_environment(tmp_path, TIKTOK_LOOKBACK_DAYS="soon"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{SettingsError.__module__}.SettingsError: TIKTOK_LOOKBACK_DAYS cannot be used: ")
    assert last.endswith("Change it in the environment or in .env.")
    assert done.stderr.count("TIKTOK_LOOKBACK_DAYS") == 1


def test_all_workspace_files_name_the_same_location() -> None:
    """`workspace.yaml`, the packaged one and `[tool.dg.project]` name the same module and location."""
    ours = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    packaged = yaml.safe_load(files("tiktok_assets.instance").joinpath("workspace.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert ours == packaged
    (entry,) = ours["load_from"]
    assert entry == {
        "python_module": {
            "module_name": project["code_location_target_module"],
            "location_name": project["code_location_name"],
        }
    }
    assert project["root_module"] == "tiktok_assets"


def test_telemetry_is_disabled() -> None:
    """`dagster.yaml` is the packaged one and disables telemetry and the newsletter dialog."""
    text = (ROOT / "dagster.yaml").read_text()
    assert text == files("tiktok_assets.instance").joinpath("dagster.yaml").read_text()
    config = yaml.safe_load(text)
    assert (config["telemetry"], config["nux"]) == ({"enabled": False}, {"enabled": False})
