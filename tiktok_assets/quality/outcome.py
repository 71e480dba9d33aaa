"""The outcome of a check: the rows that fail it, and the figures it compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

Row = Mapping[str, str]

MAX_FAULTS = 20
"""How many faults an outcome lists; all are counted."""

MAX_FIGURES = 100


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of a check, or of a part of it; outcomes of several accounts can be added.

    Attributes:
        count: the number of faults; 0 passes the check.
        faults: the first faults, one row of text each.
        figures: the compared figures, whether or not they are within the tolerance.
        notes: sentences on what was not checked.
        max_faults: how many faults are listed.
        summary: the faults in one sentence; "" if the first one says enough.
    """

    count: int = 0
    faults: tuple[Row, ...] = ()
    figures: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    max_faults: int = MAX_FAULTS
    summary: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is no fault."""
        return self.count == 0

    @classmethod
    def from_faults(
        cls,
        faults: pl.DataFrame | Iterable[Row],
        *,
        figures: Iterable[Row] = (),
        notes: Iterable[str] = (),
        max_faults: int = MAX_FAULTS,
    ) -> "CheckOutcome":
        """Create an outcome from its faults, one per row."""
        rows = format_rows(faults) if isinstance(faults, pl.DataFrame) else tuple(faults)
        return cls(len(rows), rows[:max_faults], tuple(figures)[:MAX_FIGURES], tuple(notes), max_faults)

    def __add__(self, other: "CheckOutcome") -> "CheckOutcome":
        return CheckOutcome(
            self.count + other.count,
            (self.faults + other.faults)[: min(self.max_faults, other.max_faults)],
            (self.figures + other.figures)[:MAX_FIGURES],
            tuple(dict.fromkeys(self.notes + other.notes)),
            min(self.max_faults, other.max_faults),
            self.summary or other.summary,
        )


def format_rows(frame: pl.DataFrame) -> tuple[Row, ...]:
    """Return the rows of a frame as text; null is the empty text."""
    return tuple(
        {name: "" if cell is None else str(cell) for name, cell in row.items()} for row in frame.to_dicts()
    )
