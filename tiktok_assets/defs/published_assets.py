"""Define the published tables: the stored tables again, through an IO manager of the project around them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl

from tiktok_assets.defs.automation_conditions import sources_updated_and_idle
from tiktok_assets.defs.metadata import build_table_metadata
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions, get_table_keys
from tiktok_assets.naming import PUBLISHED, get_prefix_parts
from tiktok_assets.settings import Settings, SettingsError
from tiktok_assets.spec import ADVERTISERS
from tiktok_assets.tables import build_schema, describe_difference

# Only some IO managers write several partitions in one run, and nothing tells which.
ONE_PARTITION = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

DEFAULT_NAMESPACE = "tiktok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is published to the store of the project.

    Attributes:
        io_manager_key: the resource key of the project's IO manager, which takes and returns `polars.DataFrame`.
        tables: the tables to publish; None for all.
        namespace: schema, dataset or namespace for IO managers of databases; by default the key prefix.
        verify: whether each partition is read back and compared after it was written.
    """

    io_manager_key: str
    tables: Collection[str] | None = None
    namespace: str | None = None
    verify: bool = True


def list_published_tables(settings: Settings, publication: Publication | None) -> list[str]:
    """Return the tables that are published.

    Raises:
        SettingsError: if one does not exist, or the IO manager is the one of this package.
    """
    if not publication:
        return []
    stored = get_stored_tables(settings)
    if unknown := sorted(set(publication.tables or ()) - stored.keys()):
        raise SettingsError(
            f"published.tables cannot be used: no table is called {unknown[0]!r}. The tables are"
            f" {', '.join(stored)}."
        )
    if publication.io_manager_key == Names(settings).io_manager:
        raise SettingsError(
            f"published.io_manager_key cannot be used: {publication.io_manager_key!r} is the IO manager of"
            " tiktok_assets itself. Name one of your project."
        )
    return [table for table in stored if publication.tables is None or table in publication.tables]


def build_published_assets(settings: Settings, publication: Publication) -> Sequence[dg.AssetsDefinition]:
    """Build one asset per published table, downstream of ours and partitioned by account.

    Ours stay as they are: planning, checks and rankings read them. Daily tables are partitioned by account too,
    because Dagster's base of IO managers for databases fails with a day of an account that was added at run time.
    """
    tables = list_published_tables(settings, publication)
    return [_build_published_asset(settings, publication, table) for table in tables]


def _build_published_asset(settings: Settings, publication: Publication, table: str) -> dg.AssetsDefinition:
    names, columns = Names(settings), get_stored_tables(settings)[table]
    partitions = None if table == ADVERTISERS.table else names.advertisers
    written = _PublishedTable(
        names.key(f"{PUBLISHED}/{table}"),
        build_schema(columns),
        get_table_keys(settings)[table],
        f"the IO manager {publication.io_manager_key!r}",
        f"Use an IO manager that keeps decimal(18, 4) and dates, or leave {table} out of published.tables; the"
        f" table {names.key(table).to_user_string()} is unchanged.",
    )

    @dg.asset(
        key=written.key,
        group_name=PUBLISHED,
        kinds={"polars"},
        description=f"`{table}` in the store of this project: {get_table_descriptions(settings)[table]}",
        metadata={
            **build_table_metadata(columns),
            "dagster/column_lineage": dg.TableColumnLineage(
                {name: [dg.TableColumnDep(names.key(table), name)] for name in written.schema}
            ),
            "schema": publication.namespace or "_".join(get_prefix_parts(settings)) or DEFAULT_NAMESPACE,
            **({"partition_expr": "advertiser_id"} if partitions else {}),
        },
        partitions_def=partitions,
        backfill_policy=ONE_PARTITION if partitions else None,
        automation_condition=sources_updated_and_idle(names, table),
        ins={"rows": dg.AssetIn(key=names.key(table), input_manager_key=names.io_manager)},
        io_manager_key=publication.io_manager_key,
    )
    def _published(context: dg.AssetExecutionContext, rows: pl.LazyFrame) -> Iterator[dg.Output[pl.DataFrame]]:
        frame = rows.collect()
        count = "dagster/partition_row_count" if partitions else "dagster/row_count"
        context.log.info("%s", written.announce(frame.height))
        yield dg.Output(frame, metadata={count: frame.height, "rows": frame.height})
        # Dagster has passed the output to the IO manager when it continues this function.
        if publication.verify:
            # Not `partition_key`: a sensor's run of an asset with a backfill policy has a range of partitions.
            written.verify(context, frame, context.partition_keys if partitions else ())

    return _published


@dataclass(frozen=True, slots=True)
class _PublishedTable:
    """A published table, as messages describe it.

    Attributes:
        key: its asset key.
        schema: its columns.
        row_key: the columns that identify a row.
        stored_by: what writes it.
        remedy: what to do if it is not stored exactly.
    """

    key: dg.AssetKey
    schema: pl.Schema
    row_key: Sequence[str]
    stored_by: str
    remedy: str

    def announce(self, rows: int) -> str:
        """Say what is written, and what to do if the IO manager refuses it: its own error may not say so."""
        money = [name for name, dtype in self.schema.items() if isinstance(dtype, pl.Decimal)]
        decimals = f"; {', '.join(money)} are decimals. If it refuses them: {self.remedy}" if money else "."
        return f"{rows} rows go to {self.stored_by}{decimals}"

    def verify(self, context: dg.AssetExecutionContext, frame: pl.DataFrame, partitions: Sequence[str]) -> None:
        """Read what was written back through the project's IO manager and compare it.

        Args:
            context: of the step.
            frame: what was written.
            partitions: the accounts it holds; empty for a table without partitions.

        Raises:
            dagster.Failure: if it cannot be read, or differs; one sentence with table, column and what to do.
        """
        if not partitions:
            self._verify_part(context, frame, None)
        for partition in partitions:
            self._verify_part(context, frame.filter(pl.col("advertiser_id") == partition), partition)

    def _verify_part(self, context: dg.AssetExecutionContext, frame: pl.DataFrame, partition: str | None) -> None:
        name = f"{self.key.to_user_string()}{f', partition {partition},' if partition else ''}"
        try:
            stored: Any = context.load_asset_value(self.key, python_type=pl.DataFrame, partition_key=partition)
        except Exception as error:
            if frame.is_empty():  # some IO managers store nothing then, and have no table to read
                context.log.info("No rows are stored, and %s has nothing to read.", self.stored_by)
                return
            raise dg.Failure(
                f"{name} was written but cannot be read back through {self.stored_by}: {type(error).__name__}:"
                f" {error}. If it is only read outside of Dagster, set published.verify to false.",
                allow_retries=False,
            ) from error
        if isinstance(stored, pl.LazyFrame):
            stored = stored.collect()
        if difference := describe_difference(frame, stored, self.row_key):
            raise dg.Failure(
                f"{name} was not stored exactly by {self.stored_by}: {difference}. {self.remedy}",
                allow_retries=False,
            )
