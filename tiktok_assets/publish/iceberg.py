"""Publish to Iceberg tables, through pyiceberg."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl

from tiktok_assets.publish.destination import DestinationError, LedgerChangedError, PublishedTable
from tiktok_assets.publish.lake import BATCH_PROPERTY, LakeDestination, Region

try:
    import pyarrow as pa
    from pyiceberg import types
    from pyiceberg.catalog import Catalog, load_catalog
    from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
    from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, In, Or, Reference
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
except ImportError:  # an optional extra
    raise DestinationError(
        "iceberg: the module pyiceberg is missing; run pip install 'tiktok-assets[iceberg]'"
    ) from None

NAME = "iceberg"
_TYPES: dict[type[pl.DataType], types.PrimitiveType] = {
    pl.String: types.StringType(),
    pl.Int64: types.LongType(),
    pl.Float64: types.DoubleType(),
    pl.Boolean: types.BooleanType(),
    pl.Date: types.DateType(),
    pl.Datetime: types.TimestamptzType(),
}


class IcebergDestination(LakeDestination):
    """A namespace of an Iceberg catalogue.

    The number of the last batch is a property of each table.

    Args:
        catalog: the URL of a database that is the catalogue, or of a REST catalogue; no message contains it.
        warehouse: the folder or URL of the tables; None for that of a REST catalogue.
        namespace: the namespace, which is created.

    Raises:
        DestinationError: if the catalogue cannot be opened.
    """

    def __init__(self, catalog: str, warehouse: str | None, namespace: str) -> None:
        super().__init__(NAME, "TIKTOK_ICEBERG_NAMESPACE")
        self._namespace = namespace
        is_rest = catalog.startswith(("http://", "https://"))
        properties = {"type": "rest" if is_rest else "sql", "uri": catalog}
        if warehouse:
            properties["warehouse"] = warehouse if "://" in warehouse else Path(warehouse).as_uri()
        with self.explained():
            if catalog.startswith("sqlite:///"):
                Path(catalog.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            # A database holds catalogues by name; readers find this one under the library's usual name.
            self._catalog: Catalog = load_catalog("default", **properties)
            self._catalog.create_namespace_if_not_exists(namespace)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors of the library, of its catalogue and of the disk into one sentence."""
        try:
            with warnings.catch_warnings():
                # A new partition has no rows to delete.
                warnings.filterwarnings("ignore", message="Delete operation did not match any records")
                yield
        except (CommitFailedException, ValidationException) as error:
            raise LedgerChangedError(str(error)) from None
        except (DestinationError, LedgerChangedError):
            raise
        except Exception as error:  # noqa: BLE001 - of the catalogue's database or service, whose classes are many
            raise DestinationError(
                f"iceberg: the catalogue or a table of it cannot be used ({type(error).__name__}); check"
                " TIKTOK_ICEBERG_CATALOG, TIKTOK_ICEBERG_WAREHOUSE and their permissions"
            ) from None  # the cause can contain the catalogue's URL with its password

    def _load(self, table: str) -> Table:
        return self._catalog.load_table((self._namespace, table))

    def read_schema(self, table: str) -> pl.Schema | None:
        """Return the columns of a table; None if it does not exist."""
        try:
            loaded = self._load(table)
        except NoSuchTableError:
            return None
        return _to_polars(loaded.schema().as_arrow().empty_table()).schema

    def create(self, table: PublishedTable) -> None:
        """Create a table.

        A commit that meets another one is not repeated by the library: the partitions have to be compared again.
        """
        fields = [
            types.NestedField(
                number, name, _build_type(kind), required=False, doc=table.meanings.get(name) or None
            )
            for number, (name, kind) in enumerate(table.schema.items(), start=1)
        ]
        properties = {"comment": table.meaning, "commit.retry.num-retries": "0"}
        self._catalog.create_table((self._namespace, table.name), Schema(*fields), properties=properties)

    def add_columns(self, table: PublishedTable, names: Sequence[str]) -> None:
        """Add columns."""
        with self._load(table.name).update_schema() as update:
            for name in names:
                update.add_column(name, _build_type(table.schema[name]), doc=table.meanings.get(name) or None)

    def replace(self, table: str, region: Region, rows: pl.DataFrame, number: int) -> None:
        """Replace the rows of a region in one commit."""
        with self._load(table).transaction() as transaction:
            transaction.delete(reduce(Or, map(_build_condition, region)))
            if rows.height:
                transaction.append(rows.to_arrow())
            transaction.set_properties({BATCH_PROPERTY: str(number)})

    def read_number(self, table: str) -> int:
        """Return the number of the last batch."""
        return int(self._load(table).properties.get(BATCH_PROPERTY, 0))

    def read_rows(self, table: str) -> pl.DataFrame:
        """Read a table."""
        return _to_polars(self._load(table).scan().to_arrow())


def _to_polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - of a table, not of a column
    return frame


def _build_type(kind: pl.DataType) -> types.PrimitiveType:
    if isinstance(kind, pl.Decimal):
        return types.DecimalType(kind.precision, kind.scale)
    return _TYPES[kind.base_type()]


def _build_condition(alternatives: Mapping[str, Sequence[Any]]) -> BooleanExpression:
    conditions: list[BooleanExpression] = [
        In(term=Reference(name), values=set(values)) for name, values in alternatives.items()
    ]
    return reduce(And, conditions) if conditions else AlwaysTrue()
