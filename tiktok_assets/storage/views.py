"""Describe views of the warehouse, and render them as SQL of DuckDB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiktok_assets.spec import Column

Tables = Mapping[str, Sequence[Column]]
"""The columns of every table of the warehouse, by the table's name."""


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column of a view: its name, its SQL expression and its meaning."""

    name: str
    expression: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """A view of the warehouse.

    Attributes:
        schema: the schema it is created in.
        name: its name in the schema.
        meaning: one sentence for the data dictionary.
        columns: its columns, in order.
        source: the FROM clause and what follows it.
    """

    schema: str
    name: str
    meaning: str
    columns: tuple[ViewColumn, ...]
    source: str

    @property
    def full_name(self) -> str:
        """The name with its schema."""
        return f"{self.schema}.{self.name}"

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL statements that create and describe the view; its schema and sources must exist."""
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
    """Quote a text as an SQL literal.

    >>> sql_literal("the ad's name")
    "'the ad''s name'"
    """
    return "'" + text.replace("'", "''") + "'"


def column_names(tables: Tables, table: str) -> tuple[str, ...]:
    """Return the names of a table's columns; empty if the table does not exist."""
    return tuple(column.name for column in tables.get(table, ()))
