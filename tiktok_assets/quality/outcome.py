"""The outcome of a check: the rows that fail it, and the figures it compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

Row = Mapping[str, str]

MAX_FAULTS = 20
"""How many faults are shown; all are counted."""

MAX_FIGURES = 100


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of one check, or of a part of it: findings of several accounts are added.

    Attributes:
        count: how many faults there are; 0 passes.
        faults: the first of them.
        figures: what was compared, whether or not it was in order.
        notes: sentences on what could not be judged.
        most: how many faults are shown.
    """

    count: int = 0
    faults: tuple[Row, ...] = ()
    figures: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    most: int = MAX_FAULTS

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the table."""
        return self.count == 0

    @classmethod
    def of(
        cls,
        faults: pl.DataFrame | Iterable[Row],
        *,
        figures: Iterable[Row] = (),
        notes: Iterable[str] = (),
        most: int = MAX_FAULTS,
    ) -> "CheckOutcome":
        """A finding from its faults, one a row."""
        rows = format_rows(faults) if isinstance(faults, pl.DataFrame) else tuple(faults)
        return cls(len(rows), rows[:most], tuple(figures)[:MAX_FIGURES], tuple(notes), most)

    def __add__(self, other: "CheckOutcome") -> "CheckOutcome":
        return CheckOutcome(
            self.count + other.count,
            (self.faults + other.faults)[: min(self.most, other.most)],
            (self.figures + other.figures)[:MAX_FIGURES],
            tuple(dict.fromkeys(self.notes + other.notes)),
            min(self.most, other.most),
        )


def format_rows(frame: pl.DataFrame) -> tuple[Row, ...]:
    """The rows of a frame as text, as a person would write them."""
    return tuple(
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in frame.to_dicts()
    )
