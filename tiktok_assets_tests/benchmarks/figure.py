"""A measured value with its target."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value.

    Attributes:
        topic: the heading it stands under.
        what: what was measured, in words.
        value: the median of the runs.
        unit: `s`, `MB`, `rows/s`, `requests`, `calls`, `events`, `files` or `runs`.
        target: what was aimed for, in the same unit; None where the number only informs.
        at_least: whether more than the target is better.
        spread: the least and the most of the runs, where there were several.
        note: how it came about, where a reader would ask.
        accounts: how many accounts were stored, in a benchmark of growth.
        years: how many years of days, likewise.
        place: where they were stored, likewise.
    """

    topic: str
    what: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    spread: tuple[float, float] | None = None
    note: str = ""
    accounts: int = 0
    years: int = 0
    place: str = ""

    @property
    def ratio(self) -> float | None:
        """Return how much of the target is used: at most 1 if it is met, for lower and upper targets."""
        if not self.target or not self.value:
            return None
        return self.target / self.value if self.at_least else self.value / self.target

    def __str__(self) -> str:
        spread = f" ({number(self.spread[0])} to {number(self.spread[1])})" if self.spread else ""
        ratio = f", {self.ratio:.2f} of {number(self.target or 0)}" if self.ratio is not None else ""
        return f"{self.what}: {number(self.value)} {self.unit}{spread}{ratio}"


def number(value: float) -> str:
    """Format with three significant digits and thousands separators.

    >>> number(152_345.6), number(5.3333), number(0.25), number(125)
    ('152,346', '5.33', '0.25', '125')
    """
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
