"""Read files of earlier releases with the columns of today.

A row says how the columns of stored tables have changed. It is applied whenever a file is read, so that nothing is
rewritten: a kill, a read-only store or a second process at work cannot leave a table half migrated, and a day that
is read again has the new form anyway. A table without a row costs nothing; one with a row costs a second reading
of each file's footer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby

import polars as pl


@dataclass(frozen=True, slots=True)
class Migration:
    """One change of the columns of some tables.

    Attributes:
        tables: the tables.
        renamed: by the earlier name of a column: its name today.
        retyped: by column the type it has today; a value that does not fit becomes null.
        removed: columns that no table has any more.
    """

    tables: frozenset[str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    retyped: Mapping[str, pl.DataType] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    def changes(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether a file with this schema has an earlier form."""
        is_retyped = any(schema.get(name, kind) != kind for name, kind in self.retyped.items())
        return is_retyped or not schema.keys().isdisjoint({*self.renamed, *self.removed})

    def apply(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return rows with the columns of today."""
        schema = rows.collect_schema()
        renamed = {old: new for old, new in self.renamed.items() if old in schema and new not in schema}
        gone = [name for name in (*self.renamed, *self.removed) if name in schema and name not in renamed]
        rows = rows.drop(gone).rename(renamed)
        kinds = {renamed.get(name, name): kind for name, kind in schema.items() if name not in gone}
        return rows.with_columns(
            _convert(name, kinds[name], kind)
            for name, kind in self.retyped.items()
            if name in kinds and kinds[name] != kind
        )


MIGRATIONS: tuple[Migration, ...] = ()
"""Every change of a column since the first release, oldest first. No column has got another name or type yet. A
metric that was stored as text, because no document had it, needs a row when its kind becomes known."""


class Migrations:
    """The changes that apply to the files of a store.

    Args:
        rows: the changes, oldest first.
    """

    def __init__(self, rows: Sequence[Migration] = MIGRATIONS) -> None:
        self._rows: dict[str, list[Migration]] = {}
        for row in rows:
            for table in row.tables:
                self._rows.setdefault(table, []).append(row)

    def get_mark(self, table: str) -> str:
        """Return a text that differs with the changes of a table; "" if there are none."""
        rows = self._rows.get(table)
        if not rows:
            return ""
        described = [
            (sorted(row.renamed.items()), sorted((n, str(k)) for n, k in row.retyped.items()), sorted(row.removed))
            for row in rows
        ]
        return f"+{sha256(repr(described).encode()).hexdigest()[:8]}"

    def is_earlier_form(self, table: str, schema: Mapping[str, pl.DataType]) -> bool:
        """Return whether a file of a table has an earlier form."""
        return any(row.changes(schema) for row in self._rows.get(table, ()))

    def rename(self, table: str, names: Sequence[str]) -> list[str]:
        """Return the names of today for columns of a file."""
        for row in self._rows.get(table, ()):
            names = [row.renamed.get(name, name) for name in names]
        return list(names)

    def apply(self, table: str, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return rows of files of the same form with the columns of today."""
        for row in self._rows.get(table, ()):
            rows = row.apply(rows)
        return rows

    def scan(self, table: str, paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
        """Scan files lazily, in the given order, with the columns of a schema.

        Args:
            table: the name of the table.
            paths: the files; at least one.
            schema: the columns of the result; a column that a file lacks is null, other columns are ignored.
        """
        if table not in self._rows:
            return _scan(paths, schema)
        forms = groupby(paths, lambda path: pl.scan_parquet(path, hive_partitioning=False).collect_schema())
        parts = []
        for form, some in forms:
            files = list(some)
            if not self.is_earlier_form(table, form):
                parts.append(_scan(files, schema))
                continue
            rows = self.apply(table, pl.scan_parquet(files, hive_partitioning=False))
            present = rows.collect_schema()
            parts.append(
                rows.select(
                    pl.col(name) if name in present else pl.lit(None, kind).alias(name)
                    for name, kind in schema.items()
                )
            )
        return pl.concat(parts)


def _scan(paths: Sequence[str], schema: pl.Schema) -> pl.LazyFrame:
    return pl.scan_parquet(
        list(paths), schema=schema, hive_partitioning=False, missing_columns="insert", extra_columns="ignore"
    )


def _convert(name: str, before: pl.DataType, after: pl.DataType) -> pl.Expr:
    """Return a column with another type; a count may have been stored as the text 12.0."""
    column = pl.col(name).str.strip_chars() if before == pl.String else pl.col(name)
    exact = column.cast(after, strict=False)
    if before == pl.String and after == pl.Int64:
        whole = column.cast(pl.Decimal(38, 6), strict=False).cast(after, strict=False)
        return pl.coalesce(exact, whole).alias(name)
    return exact.alias(name)
