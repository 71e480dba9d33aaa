"""Read the partition files of the store for publication: the version of a file, and its rows with known types."""

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.publish.destination import PublishedTable, TableError
from tiktok_assets.spec import Column
from tiktok_assets.storage import HiveStore, Partition, StoreError
from tiktok_assets.tables import build_schema

_VERSION_DIGITS = 32
_TYPES = frozenset({pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Date, pl.Datetime, pl.Decimal})


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table of the store with the columns that are declared now.

    A file can have further columns, such as a metric that is not requested any more; they are published too.
    """

    store: HiveStore
    name: str
    meaning: str
    columns: Sequence[Column]

    @property
    def schema(self) -> pl.Schema:
        """The declared columns."""
        return build_schema(self.columns)

    def file_versions(self) -> dict[Partition, str | None]:
        """Return the stored partitions with the marks of their files, which change with the migrations."""
        mark = self.store.migrations.get_mark(self.name)
        versions = self.store.file_versions(self.name)
        return {one: version and f"{version}{mark}" for one, version in versions.items()}

    def get_version(self, content: bytes) -> str:
        """Return what identifies the rows of a file: its content and, of an earlier form, the migrations."""
        migrations = self.store.migrations
        if mark := migrations.get_mark(self.name):
            with suppress(PolarsError):
                if migrations.is_earlier_form(self.name, pl.read_parquet_schema(io.BytesIO(content))):
                    return hash_content(content + mark.encode())
        return hash_content(content)

    def read_content(self, partition: Partition) -> bytes | None:
        """Read the file of a partition; None if it was removed meanwhile."""
        try:
            return self.store.read_file(self.name, partition)
        except StoreError as error:
            raise TableError(str(error)) from None

    def describe(self, schema: pl.Schema, partitions: Sequence[Partition]) -> PublishedTable:
        """Describe the table with these columns, as it is partitioned in the store."""
        return PublishedTable(
            self.name,
            self.meaning,
            schema,
            {column.name: column.meaning for column in self.columns},
            max((tuple(one.columns) for one in partitions), key=len, default=()),
        )

    def parse(self, partition: Partition, content: bytes, schema: pl.Schema) -> pl.DataFrame:
        """Parse the rows of a file.

        Args:
            partition: the partition of the file.
            content: the file.
            schema: the types of the columns known so far.

        Raises:
            TableError: if the file is damaged, or a column has another type.
        """
        place = f"{self.name}/{partition.folder}".rstrip("/")
        try:
            frame = pl.read_parquet(io.BytesIO(content), hive_partitioning=False)
            frame = self.store.migrations.apply(self.name, frame.lazy()).collect()
        except PolarsError as error:
            raise TableError(f"the file of {place} cannot be read ({error}); refresh that partition") from None
        found = frame.schema
        if unknown := [name for name, kind in found.items() if kind == pl.Null]:
            frame = frame.select(
                pl.col(name).cast(schema[name]) if name in unknown else pl.col(name)
                for name in found
                if name not in unknown or name in schema
            )
            found = frame.schema
        for name, kind in found.items():
            if kind != schema.get(name, kind):
                raise TableError(
                    f"{place} has the column {name} as {kind}, and not as {schema[name]}; refresh that partition"
                )
            if kind.base_type() not in _TYPES:
                raise TableError(f"{place} has the column {name} of the type {kind}, which cannot be published")
        return frame


def hash_content(content: bytes) -> str:
    """Return what identifies the content of a file."""
    return hashlib.sha256(content).hexdigest()[:_VERSION_DIGITS]


def combine_rows(frames: Sequence[pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    """Return the rows of frames with all columns of a schema in its order; a column that a frame lacks is null.

    NUL characters, which Postgres cannot store, are replaced by U+FFFD.
    """
    names = list(schema)
    filled = [
        frame
        if frame.columns == names
        else frame.select(
            pl.col(name) if name in frame.columns else pl.lit(None, kind).alias(name)
            for name, kind in schema.items()
        )
        for frame in frames
    ]
    rows = pl.concat([schema.to_frame(), *filled])
    return rows.with_columns(pl.col(pl.String).str.replace_all("\0", "\ufffd", literal=True))
