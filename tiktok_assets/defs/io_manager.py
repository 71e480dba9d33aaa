"""The store as Dagster's IO manager: a table comes as a lazy frame, a returned frame goes into its partitions.

Your own assets can take any table by naming it as an argument annotated `pl.LazyFrame`, with
`ins={"ad_report_daily": dg.AssetIn(input_manager_key="hive_parquet")}`.
"""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from tiktok_assets.defs.partitions import partition_of
from tiktok_assets.storage.hive_parquet import HiveStore, Partition

IO_MANAGER = "hive_parquet"


class HiveParquetIOManager(dg.IOManager):
    """Reads and writes the partitions a step concerns, however many.

    Args:
        store: the tables.
        schemas: of each table, by name.
    """

    def __init__(self, store: HiveStore, schemas: Mapping[str, pl.Schema]) -> None:
        self._store = store
        self._schemas = schemas

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Replace every partition of the output; one without rows becomes a file without rows.

        Raises:
            ForeignRowsError: if a row belongs to no partition of the output.
        """
        table = context.asset_key.path[-1]
        keys = context.asset_partition_keys if context.has_asset_partitions else []
        partitions = [partition_of(key) for key in keys] or [Partition()]
        frames = {partition: obj.filter(_belongs(partition)) for partition in partitions}
        if sum(frame.height for frame in frames.values()) != obj.height:
            # Let the store say which rows are strangers, before anything is written.
            frames = {partitions[0]: obj}
        for partition, frame in frames.items():
            written = self._store.write(table, partition, frame)
            if not keys:
                context.add_output_metadata({"dagster/row_count": written.rows, "rows": written.rows})
        if keys:
            context.add_output_metadata({"rows_of_run": obj.height, "partitions_of_run": len(keys)})

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame:
        """The partitions the input maps to, or the whole table for an input without partitions."""
        table = context.asset_key.path[-1]
        schema = self._schemas[table]
        if not context.has_asset_partitions:
            return self._store.scan(table, schema)
        partitions = [partition_of(key) for key in context.asset_partition_keys]
        days = {partition.day for partition in partitions if partition.day}
        return self._store.scan(
            table, schema, advertiser_ids={str(p.advertiser_id) for p in partitions}, days=days or None
        )


def _belongs(partition: Partition) -> pl.Expr:
    return pl.all_horizontal([pl.lit(value=True), *(pl.col(k) == v for k, v in partition.columns.items())])
