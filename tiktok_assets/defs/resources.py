"""Define the resources: the session with TikTok's API, and the IO manager that reads and writes partitions.

Your own assets can load any table by naming it as an argument annotated `pl.LazyFrame`, with
`ins={"ad_report_daily": dg.AssetIn(input_manager_key="hive_parquet")}`.
"""

from collections.abc import Iterator, Mapping
from typing import get_args, get_origin

import dagster as dg
import polars as pl
from upath import UPath

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import parse_partition_key
from tiktok_assets.defs.shared_format import require_same_version
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.session import Session, open_session, open_store
from tiktok_assets.settings import Settings
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import build_schema


class HiveParquetIOManager(dg.IOManager):
    """An IO manager that loads tables as lazy frames and writes frames into the partitions of the run.

    Args:
        store: holds the tables.
        schemas: the schema of each table, by name.
        names: of the assets.
    """

    def __init__(self, store: HiveStore, schemas: Mapping[str, pl.Schema], names: Names) -> None:
        self._store = store
        self._schemas = schemas
        self._names = names

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Replace every partition of the output; a partition without rows becomes a file without rows.

        Raises:
            ForeignRowsError: if a row belongs to no partition of the output.
            dagster.Failure: if an asset of another project has the name of one of these tables.
        """
        table = self._names.table(context.asset_key)
        if table in self._schemas and context.asset_key != self._names.key(table):
            raise dg.Failure(
                f"{context.asset_key.to_user_string()} would replace the table {table} of"
                f" {self._names.key(table).to_user_string()}; rename the asset or give it another IO manager",
                allow_retries=False,
            )
        keys = context.asset_partition_keys if context.has_asset_partitions else []
        partitions = [parse_partition_key(key) for key in keys] or [Partition()]
        frames = {partition: obj.filter(_filter_partition(partition)) for partition in partitions}
        if sum(frame.height for frame in frames.values()) != obj.height:
            # The store raises and names the foreign rows, before anything is written.
            frames = {partitions[0]: obj}
        for partition, frame in frames.items():
            written = self._store.write(table, partition, frame)
            if not keys:
                context.add_output_metadata({"dagster/row_count": written.rows, "rows": written.rows})
        if keys:
            context.add_output_metadata({"rows_of_run": obj.height, "partitions_of_run": len(keys)})

    def load_input(self, context: dg.InputContext) -> object:
        """Load the partitions the input maps to, or the whole table for an input without partitions.

        The annotation of the input says as what: `polars.LazyFrame`, which is also the default,
        `polars.DataFrame`, `duckdb.DuckDBPyRelation`, or the paths of the files as `list[str]` or `list[UPath]`.
        """
        table = self._names.table(context.asset_key)
        advertiser_ids, days = None, None
        if context.has_asset_partitions:
            partitions = [parse_partition_key(key) for key in context.asset_partition_keys]
            advertiser_ids = {str(partition.advertiser_id) for partition in partitions}
            days = {partition.day for partition in partitions if partition.day} or None
        wanted = context.dagster_type.typing_type
        if get_origin(wanted) is list:
            paths = self._store.paths(table, advertiser_ids, days)
            return [UPath(path) for path in paths] if get_args(wanted) != (str,) else paths
        rows = self._store.scan(table, self._schemas[table], advertiser_ids=advertiser_ids, days=days)
        if wanted is pl.DataFrame:
            return rows.collect()
        if getattr(wanted, "__name__", "") == "DuckDBPyRelation":
            from tiktok_assets.storage import open_relation  # noqa: PLC0415 - DuckDB is slow to import

            return open_relation(rows.collect())
        return rows


def _filter_partition(partition: Partition) -> pl.Expr:
    return pl.all_horizontal([pl.lit(value=True), *(pl.col(k) == v for k, v in partition.columns.items())])


def build_session_resource(settings: Settings, shared: Session | None = None) -> dg.ResourceDefinition:
    """Build the `tiktok` resource: a session per run, or the session that the caller shares and closes.

    It has no Dagster configuration, so that no run and no page of Dagster's UI can show the token.
    """

    def _session(_: dg.InitResourceContext) -> Iterator[Session]:
        if shared:
            require_same_version(shared)
            yield shared
            return
        with open_session(settings) as session:
            require_same_version(session)
            yield session

    return dg.ResourceDefinition(
        resource_fn=_session, description=f"TikTok Marketing API {settings.api_version} at {settings.base_url}"
    )


def build_resources(
    settings: Settings, shared: Session | None = None
) -> dict[str, dg.ResourceDefinition | HiveParquetIOManager]:
    """Build the session and the IO manager under their keys."""
    names = Names(settings)
    schemas = {name: build_schema(columns) for name, columns in get_stored_tables(settings).items()}
    return {
        names.session_resource: build_session_resource(settings, shared),
        names.io_manager: HiveParquetIOManager(open_store(settings), schemas, names),
    }
