"""Publish to Delta tables, through deltalake."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl

from tiktok_assets.publish.destination import DestinationError, LedgerChangedError, PublishedTable
from tiktok_assets.publish.lake import BATCH_PROPERTY, LakeDestination, Region

try:
    from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.schema import PrimitiveType
except ImportError:  # an optional extra
    raise DestinationError(
        "delta: the module deltalake is missing; run pip install 'tiktok-assets[delta]'"
    ) from None

NAME = "delta"
_TYPES: Mapping[type[pl.DataType], str] = {
    pl.String: "string",
    pl.Int64: "long",
    pl.Float64: "double",
    pl.Boolean: "boolean",
    pl.Date: "date",
    pl.Datetime: "timestamp",
}


class DeltaDestination(LakeDestination):
    """A folder with one Delta table for each table.

    The number of the last batch is the version of an application transaction (`txn`) in the log of each table.

    Args:
        folder: a path, or a URL such as `s3://bucket/prefix`.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(NAME, "TIKTOK_DELTA_URL")
        self._folder = folder.rstrip("/")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the library and the disk into one sentence."""
        try:
            yield
        except CommitFailedError as error:
            raise LedgerChangedError(str(error)) from None
        except (DeltaError, OSError) as error:
            first = str(error).splitlines()[0].rstrip(".")
            raise DestinationError(
                f"delta: {self._folder} cannot be used ({first}); check TIKTOK_DELTA_URL, its permissions and,"
                " for an object store, the credentials in the environment"
            ) from None

    def _path(self, table: str) -> str:
        return f"{self._folder}/{table}"

    def read_schema(self, table: str) -> pl.Schema | None:
        """Return the columns of a table; None if it does not exist."""
        path = self._path(table)
        return pl.scan_delta(path).collect_schema() if DeltaTable.is_deltatable(path) else None

    def create(self, table: PublishedTable) -> None:
        """Create a table; its files are in a folder for each account."""
        DeltaTable.create(
            self._path(table.name),
            Schema(_build_fields(table, table.schema.names())),
            partition_by=["advertiser_id"] if table.partitioned_by else None,
            description=table.meaning or None,
        )

    def add_columns(self, table: PublishedTable, names: Sequence[str]) -> None:
        """Add columns."""
        DeltaTable(self._path(table.name)).alter.add_columns(_build_fields(table, names))

    def replace(self, table: str, region: Region, rows: pl.DataFrame, number: int) -> None:
        """Replace the rows of a region in one commit."""
        target = DeltaTable(self._path(table))
        existing = pl.scan_delta(target).collect_schema()
        aligned = rows.select(
            pl.col(name) if name in rows.columns else pl.lit(None, kind).alias(name)
            for name, kind in existing.items()
        )
        write_deltalake(
            target,
            aligned,
            mode="overwrite",
            predicate=" OR ".join(f"({_build_condition(one)})" for one in region) if region != [{}] else None,
            commit_properties=CommitProperties(app_transactions=[Transaction(BATCH_PROPERTY, number)]),
        )

    def read_number(self, table: str) -> int:
        """Return the number of the last batch."""
        return DeltaTable(self._path(table)).transaction_version(BATCH_PROPERTY) or 0

    def read_rows(self, table: str) -> pl.DataFrame:
        """Read a table."""
        return pl.read_delta(self._path(table))


def _build_fields(table: PublishedTable, names: Sequence[str]) -> list[Field]:
    return [
        Field(
            name,
            PrimitiveType(_build_type(table.schema[name])),
            nullable=True,
            metadata={"comment": table.meanings[name]} if table.meanings.get(name) else None,
        )
        for name in names
    ]


def _build_type(kind: pl.DataType) -> str:
    return f"decimal({kind.precision},{kind.scale})" if isinstance(kind, pl.Decimal) else _TYPES[kind.base_type()]


def _build_condition(alternatives: Mapping[str, Sequence[object]]) -> str:
    """Return the SQL of one alternative; its values are days, our tables, and accounts with checked names."""
    parts = []
    for name, values in alternatives.items():
        listed = ", ".join(f"'{value}'" if isinstance(value, str) else f"DATE '{value}'" for value in values)
        parts.append(f'"{name}" IN ({listed})')
    return " AND ".join(parts)
