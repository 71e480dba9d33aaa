"""Test that tables go through an IO manager of the project around ours, exactly or with a sentence."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
import deltalake
import polars as pl
import pytest
from dagster_delta import DeltaLakePolarsIOManager, LocalConfig, WriteMode

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.definitions import Publication, build_definitions
from tiktok_assets.settings import SettingsError, load_settings
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import Deployment, get_failure, open_deployment

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
TABLES = ("advertisers", "ad_report_daily")
DELTA = Publication(io_manager_key="lake", tables=TABLES)


class MemoryStore(dg.IOManager):
    """An IO manager that keeps frames in memory, after changing them."""

    def __init__(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        self.change = change
        self.frames: dict[tuple[str, ...], pl.DataFrame] = {}

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Keep a frame."""
        self.frames[tuple(context.get_asset_identifier())] = self.change(obj)

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """Return a frame."""
        return self.frames[tuple(context.get_asset_identifier())]


@contextmanager
def open_project(
    host: Host, folder: Path, manager: object, publication: Publication = DELTA
) -> Iterator[Deployment]:
    """Open a project with an IO manager `lake` of its own, with three stored days of every account."""
    with open_deployment(host, folder, key_prefix="one") as one:
        ours = build_definitions(one.settings, session=one.session, published=publication)
        theirs = dg.Definitions(resources={publication.io_manager_key: manager}, executor=dg.in_process_executor)
        merged = dg.Definitions.merge(ours, theirs)
        project = Deployment(one.host, one.settings, one.session, merged, one.instance)
        ids = project.add_partitions()
        assert project.run("refresh_accounts", tables=["advertisers"]).success
        assert project.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
        yield project


def materialize(
    project: Deployment, key: str, partition: str | None = None, *, as_range: bool = False
) -> dg.ExecuteInProcessResult:
    """Materialize one asset, as a click does, or as a sensor does: with a range of one partition."""
    selected = [dg.AssetKey(key.split("/"))]
    job = project.definitions.resolve_implicit_job_def_def_for_assets(selected)
    assert job
    ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    return job.execute_in_process(
        instance=project.instance,
        partition_key=None if as_range else partition,
        tags=dict.fromkeys(ends, partition) if as_range and partition else None,
        asset_selection=selected,
        raise_on_error=False,
    )


def publish(
    project: Deployment, table: str, partition: str | None = None, *, as_range: bool = False
) -> dg.ExecuteInProcessResult:
    """Materialize a published table."""
    return materialize(project, f"one/published/{table}", partition, as_range=as_range)


@pytest.mark.slow
def test_delta_tables_equal_ours_to_the_cent(host: Host, tmp_path: Path) -> None:
    """What was published to Delta, by a click and by a sensor, equals our table, for all readers."""
    lake = DeltaLakePolarsIOManager(
        root_uri=str(tmp_path / "lake"), storage_options=LocalConfig(), mode=WriteMode.overwrite
    )
    seen: list[pl.DataFrame] = []

    @dg.asset(ins={"rows": dg.AssetIn(key=["one", "published", "ad_report_daily"], input_manager_key="lake")})
    def spend(rows: pl.DataFrame) -> None:
        seen.append(rows)

    with open_project(host, tmp_path, lake) as project:
        for as_range in (False, True):
            assert publish(project, "advertisers").success
            for owner in project.advertiser_ids:
                assert publish(project, "ad_report_daily", owner, as_range=as_range).success
        expected = project.read_table("ad_report_daily")
        files = deltalake.DeltaTable(str(tmp_path / "lake" / "one" / "ad_report_daily"))
        accounts = deltalake.DeltaTable(str(tmp_path / "lake" / "one" / "advertisers"))
        merged = dg.Definitions.merge(project.definitions, dg.Definitions(assets=[spend]))
        reader = Deployment(project.host, project.settings, project.session, merged, project.instance)
        assert materialize(reader, "spend").success
        expected_accounts = project.read_table("advertisers")
    order = ["advertiser_id", "date", "ad_id"]
    for stored in (seen[0], pl.scan_delta(files).collect()):
        rows = stored.select(expected.columns).sort(order)
        assert rows.schema["spend"] == pl.Decimal(18, 4)
        assert rows.schema["date"] == pl.Date
        assert rows.equals(expected.sort(order))
    assert expected.get_column("spend").sum() > 0
    assert pl.scan_delta(accounts).collect().height == expected_accounts.height


@pytest.mark.slow
def test_published_tables_follow_ours(host: Host, tmp_path: Path) -> None:
    """An update of our table requests the published partitions of the same accounts, and of no other."""
    with open_project(host, tmp_path, MemoryStore(lambda frame: frame)) as project:
        published = dg.AssetKey(["one", "published", "ad_report_daily"])
        first = dg.evaluate_automation_conditions(project.definitions, project.instance)
        ids = project.advertiser_ids[1:2]
        assert project.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
        later = dg.evaluate_automation_conditions(project.definitions, project.instance, cursor=first.cursor)
        assert later.get_requested_partitions(published) == set(ids)
        (sensor,) = [
            one
            for one in project.definitions.sensors or []
            if isinstance(one, dg.AutomationConditionSensorDefinition)
        ]
        assert sensor.run_tags["dagster/priority"] == "-1"  # a refresh does not wait for them
        targets = sensor.asset_selection.resolve(project.definitions.resolve_asset_graph())
        assert {published, dg.AssetKey(["one", "published", "advertisers"])} <= targets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            lambda frame: frame.cast({pl.Decimal: pl.Float64}),
            "the column spend is decimal(18, 4), but was stored as Float64",
        ),
        (lambda frame: frame.cast({pl.Date: pl.Datetime}), "the column date is Date, but was stored as Datetime"),
        (lambda frame: frame.head(1), "rows were written, but 1 are stored"),
        (
            lambda frame: frame.with_columns(pl.col("spend").round(0).cast(pl.Decimal(18, 4))),
            "values of the column spend differ",
        ),
    ],
    ids=["floats", "instants", "fewer rows", "rounded"],
)
def test_inexact_store_is_named(
    host: Host, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], difference: str
) -> None:
    """A store that does not hold decimals, dates or all rows fails the run with table, column and what to do."""
    with open_project(host, tmp_path, MemoryStore(change)) as project:
        owner = project.advertiser_ids[1]
        before = project.read_bytes("ad_report_daily", f"{owner}|2026-10-03")
        result = publish(project, "ad_report_daily", owner)
        message = get_failure(result, "one__published__ad_report_daily")
        assert message.startswith(
            f"one/published/ad_report_daily, partition {owner}, was not stored exactly by the IO manager 'lake': "
        )
        assert difference in message
        assert message.endswith(
            "Use an IO manager that keeps decimal(18, 4) and dates, or leave ad_report_daily out of"
            " published.tables; the table one/ad_report_daily is unchanged."
        )
        assert project.read_bytes("ad_report_daily", f"{owner}|2026-10-03") == before


def test_refusing_store_is_named_in_the_log(host: Host, tmp_path: Path) -> None:
    """Where the IO manager itself refuses decimals, the log before its error names the columns and what to do."""

    def refuse(frame: pl.DataFrame) -> pl.DataFrame:
        raise TypeError(f"no decimals in {frame.width} columns")

    with open_project(host, tmp_path, MemoryStore(refuse)) as project:
        result = publish(project, "ad_report_daily", project.advertiser_ids[1])
        assert not result.success
        messages = [entry.user_message for entry in project.instance.all_logs(result.run_id)]
    (announced,) = [message for message in messages if "go to the IO manager 'lake'" in message]
    assert "spend, " in announced
    assert "are decimals. If it refuses them: Use an IO manager that keeps decimal(18, 4)" in announced


@pytest.mark.slow
def test_unreadable_store_needs_no_verification(host: Host, tmp_path: Path) -> None:
    """What cannot be read back fails the run, unless the project says that it is only written."""

    class WriteOnly(MemoryStore):
        def load_input(self, context: dg.InputContext) -> pl.DataFrame:
            raise NotImplementedError(context.asset_key.to_user_string())

    unverified = Publication(io_manager_key="lake", tables=TABLES, verify=False)
    for publication, is_stored in ((DELTA, False), (unverified, True)):
        with open_project(host, tmp_path / str(is_stored), WriteOnly(lambda frame: frame), publication) as project:
            result = publish(project, "ad_report_daily", project.advertiser_ids[1])
            assert result.success is is_stored
            if not is_stored:
                message = get_failure(result, "one__published__ad_report_daily")
                assert "cannot be read back through the IO manager 'lake': NotImplementedError: " in message
                assert message.endswith("set published.verify to false.")
                nothing = publish(project, "ad_report_daily", project.advertiser_ids[0])
                assert nothing.success  # an account without rows


def list_published(publication: Publication, **overrides: object) -> Mapping[str, dg.AssetSpec]:
    """Return the specs of the published tables by key."""
    ours = build_definitions(load_settings(**overrides), published=publication)
    theirs = dg.Definitions(resources={"lake": MemoryStore(lambda frame: frame)})
    definitions = dg.Definitions.merge(ours, theirs)
    found = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    return {key: spec for key, spec in found.items() if "published/" in key}


def test_published_tables_have_all_attributes() -> None:
    """Each published table has what the others have, and what IO managers of databases need."""
    specs = list_published(Publication(io_manager_key="lake"))
    ours = {
        spec.key.to_user_string(): spec for spec in build_definitions(load_settings()).resolve_all_asset_specs()
    }
    assert specs.keys() == {f"published/{table}" for table in ours.keys() - {"account_overview", "warehouse"}}
    for key, spec in specs.items():
        source = ours[key.removeprefix("published/")]
        assert spec.group_name == "published"
        assert spec.code_version == source.code_version
        assert spec.freshness_policy == source.freshness_policy
        assert spec.automation_condition
        assert spec.owners
        assert spec.kinds
        assert spec.metadata["dagster/column_schema"] == source.metadata["dagster/column_schema"]
        assert spec.metadata["schema"] == "tiktok"
        lineage = spec.metadata["dagster/column_lineage"].deps_by_column
        assert lineage["advertiser_id"] == [dg.TableColumnDep(source.key, "advertiser_id")]
        assert [dep.asset_key for dep in spec.deps] == [source.key]
        if key == "published/advertisers":
            assert spec.partitions_def is None
        else:
            assert spec.partitions_def == ours["campaigns"].partitions_def
            assert spec.metadata["partition_expr"] == "advertiser_id"
    other = list_published(DELTA, key_prefix="agency/one")
    assert {spec.metadata["schema"] for spec in other.values()} == {"agency_one"}
    assert set(other) == {f"agency/one/published/{table}" for table in TABLES}


@pytest.mark.parametrize(
    ("publication", "message"),
    [
        (
            Publication(io_manager_key="lake", tables=["adz"]),
            r"^published\.tables cannot be used: no table is called 'adz'\. The tables are advertisers, ",
        ),
        (
            Publication(io_manager_key="hive_parquet"),
            r"^published\.io_manager_key cannot be used: 'hive_parquet' is the IO manager of tiktok_assets",
        ),
    ],
)
def test_invalid_publication_is_refused(publication: Publication, message: str) -> None:
    """A table that does not exist, and our own IO manager, stop the load with a sentence."""
    with pytest.raises(SettingsError, match=message):
        list_published(publication)


def test_missing_io_manager_is_named() -> None:
    """A key that the project does not define stops the load with the key, the table and the keys there are."""
    definitions = build_definitions(load_settings(), published=DELTA)
    message = "io manager with key 'lake' required by output 'result' of op 'published__advertisers'"
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=message):
        dg.Definitions.validate_loadable(definitions)
