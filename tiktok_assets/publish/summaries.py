"""Summarize the rows of each partition by counts and exact sums, in SQL, so that two stores can be compared.

A text counts by the first eight hexadecimal digits of its MD5, a day and an instant by their distance from 1970.
So two partitions with equal summaries have the same values in each column, but for a chance of one in four billion
for a changed text; which values stand in one row is not compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isclose
from typing import Any

import polars as pl

from tiktok_assets.storage import Partition

DUCKDB_SUMS: Mapping[type[pl.DataType], str] = {
    pl.String: "sum(('0x' || left(md5({}), 8))::BIGINT)",
    pl.Int64: "sum({})",
    pl.Float64: "sum({})",
    pl.Decimal: "sum({})",
    pl.Boolean: "sum({}::INTEGER)",
    pl.Date: "sum({} - DATE '1970-01-01')",
    pl.Datetime: "sum(epoch_us({}))",
}
"""DuckDB's expression for the sum of a column, by its type."""

_RELATIVE_TOLERANCE = 1e-9
"""Of sums of floats, which depend on the order of the rows."""


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """How many values of a column are not null, and their sum: exact, or a float for a column of floats."""

    count: int
    total: Decimal | float

    def __add__(self, other: "ColumnSummary") -> "ColumnSummary":
        return ColumnSummary(self.count + other.count, self.total + other.total)  # type: ignore[operator] # of one type

    def equals(self, other: "ColumnSummary") -> bool:
        """Return whether two summaries agree; sums of floats nearly."""
        if isinstance(self.total, float) and isinstance(other.total, float):
            same = isclose(self.total, other.total, rel_tol=_RELATIVE_TOLERANCE, abs_tol=_RELATIVE_TOLERANCE)
            return self.count == other.count and same
        return self == other


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows a partition has, and the summary of each column."""

    rows: int
    columns: Mapping[str, ColumnSummary]

    def __add__(self, other: "Summary") -> "Summary":
        names = {**self.columns, **other.columns}
        zero = ColumnSummary(0, Decimal(0))
        merged = {
            name: self.columns[name] + other.columns[name]
            if name in self.columns and name in other.columns
            else self.columns.get(name, other.columns.get(name, zero))
            for name in names
        }
        return Summary(self.rows + other.rows, merged)


Summaries = dict[Partition, Summary]
"""The summary of each partition that has rows; one of rows without the partition's values is of `Partition()`."""


def build_summary_query(
    relation: str, partitioned_by: Sequence[str], schema: pl.Schema, sums: Mapping[type[pl.DataType], str]
) -> str:
    """Return the query for one row per partition: its values, the rows, then count and sum of each column.

    Args:
        relation: the table in SQL.
        partitioned_by: the columns that name a partition.
        schema: the columns to summarize.
        sums: the expression of a sum, by type.
    """
    keys = [f'"{name}"' for name in partitioned_by]
    figures = ["count(*)"]
    for name, kind in schema.items():
        quoted = '"' + name.replace('"', '""') + '"'
        figures += [f"count({quoted})", f"CAST({sums[kind.base_type()].format(quoted)} AS TEXT)"]
    grouping = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {', '.join([*keys, *figures])} FROM {relation}{grouping}"  # noqa: S608 - names are quoted


def parse_summaries(rows: Iterable[Sequence[Any]], partitioned_by: Sequence[str], schema: pl.Schema) -> Summaries:
    """Return the summaries from the rows of the query."""
    summaries: Summaries = {}
    names, floats = list(schema), {name for name, kind in schema.items() if kind == pl.Float64}
    for row in rows:
        keys, (count, *figures) = row[: len(partitioned_by)], row[len(partitioned_by) :]
        if not count:  # without a grouping an empty table has one row
            continue
        columns = {
            name: ColumnSummary(number, float(total or 0) if name in floats else Decimal(total or 0))
            for name, number, total in zip(names, figures[::2], figures[1::2], strict=True)
        }
        partition = Partition() if None in keys else Partition(*keys)
        found = Summary(count, columns)
        summaries[partition] = summaries[partition] + found if partition in summaries else found
    return summaries


class FrameSummarizer:
    """Sums up the partitions of frames, one after the other; to be closed."""

    def __init__(self, partitioned_by: Sequence[str]) -> None:
        import duckdb  # noqa: PLC0415 - slow to import

        self._connection: duckdb.DuckDBPyConnection = duckdb.connect()
        self._partitioned_by = partitioned_by
        self.summaries: Summaries = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Add the rows of a frame."""
        from tiktok_assets.storage import to_relation  # noqa: PLC0415 - the same

        relation = to_relation(self._connection, frame)
        query = build_summary_query("frame", self._partitioned_by, frame.schema, DUCKDB_SUMS)
        found_rows = relation.query("frame", query)
        rows = found_rows.fetchall() if found_rows else []
        for partition, found in parse_summaries(rows, self._partitioned_by, frame.schema).items():
            known = self.summaries.get(partition)
            self.summaries[partition] = known + found if known else found

    def close(self) -> None:
        """Close the database in memory."""
        self._connection.close()
