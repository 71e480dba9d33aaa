"""A view of the warehouse: named columns with their meaning over one FROM clause, as SQL of DuckDB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiktok_assets.spec.columns import Column

Tables = Mapping[str, Sequence[Column]]
"""The columns of every table of the warehouse, by the table's name."""


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """One column: its name, the expression it is, and what it means."""

    name: str
    expression: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """One view.

    Attributes:
        schema: where it stands.
        name: what it is called there.
        meaning: one sentence.
        columns: in order.
        source: the FROM clause and what follows it.
    """

    schema: str
    name: str
    meaning: str
    columns: tuple[ViewColumn, ...]
    source: str

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"

    @property
    def statements(self) -> tuple[str, ...]:
        """What creates it, in a database that holds its schema and what it reads, and describes it."""
        selected = ",\n  ".join(f'{column.expression} AS "{column.name}"' for column in self.columns)
        return (
            f"CREATE VIEW {self.full_name} AS SELECT\n  {selected}\n{self.source}",
            f"COMMENT ON VIEW {self.full_name} IS {sql_literal(self.meaning)}",
            *(
                f'COMMENT ON COLUMN {self.full_name}."{column.name}" IS {sql_literal(column.meaning)}'
                for column in self.columns
            ),
        )


def sql_literal(text: str) -> str:
    """A text in SQL.

    >>> literal("the ad's name")
    "'the ad''s name'"
    """
    return "'" + text.replace("'", "''") + "'"


def column_names(tables: Tables, table: str) -> tuple[str, ...]:
    """The columns of a table; none where the table is not there."""
    return tuple(column.name for column in tables.get(table, ()))
