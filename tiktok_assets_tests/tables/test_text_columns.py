"""Laws of typing text: a value is what it is by itself, whatever stands beside it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.spec.columns import Column, Kind
from tiktok_assets.tables.account_calendar import ValueFormatError
from tiktok_assets.tables.schema import POLARS_TYPES
from tiktok_assets.tables.text_columns import cast_text_columns

KINDS: tuple[Kind, ...] = ("count", "money", "rate", "ratio")
COLUMNS = tuple(Column(f"{kind}_{name}", f"{kind}_{name}", kind, "a number") for kind in KINDS for name in "ab")
AVERAGES = frozenset({"money_b"})
ODD_TEXTS = [
    "0",
    "7",
    "-12",
    "007",
    "+5",
    "12.0",
    "12.50",
    "1.2345000",
    "1.23456",
    ".5",
    "5.",
    "1e3",
    "1_0",
    "-",
    "--",
    "nan",
    "inf",
    "Infinity",
    "٣",
    "12345678901234",
    "123456789012345678",
    "1234567890123456789",
]
TEXTS = st.sampled_from([*ODD_TEXTS, "", " 5", "5 "]) | st.from_regex(r"\A-?[0-9]{1,6}(\.[0-9]{1,4})?\Z")
ROWS = st.lists(
    st.fixed_dictionaries({column.name: TEXTS | st.none() for column in COLUMNS}), min_size=1, max_size=5
)
SCHEMA = pl.Schema({column.name: pl.String() for column in COLUMNS})


def read(rows: Sequence[Mapping[str, str | None]]) -> pl.DataFrame | None:
    """The rows in their types, or None where a value does not fit."""
    try:
        return cast_text_columns(pl.DataFrame(rows, SCHEMA), COLUMNS, AVERAGES)
    except ValueFormatError:
        return None


@given(rows=ROWS)
def test_a_value_is_the_same_in_any_company(rows: list[dict[str, str | None]]) -> None:
    """Rows together are what each is alone; one that does not fit keeps all from being taken."""
    alone = [read([row]) for row in rows]
    fitting = [frame for frame in alone if frame is not None]
    together = read(rows)
    if len(fitting) < len(rows):
        assert together is None
    else:
        assert together is not None
        assert together.equals(pl.concat(fitting))
        assert together.schema == pl.Schema({column.name: POLARS_TYPES[column.kind] for column in COLUMNS})


@pytest.mark.parametrize(
    ("text", "found"),
    [("12", 12), ("12.0", 12), ("-", None), ("", None), ("-3", -3), ("007", 7)],
)
@pytest.mark.parametrize("beside", ["4", "-", "8.0"])
def test_a_count_is_a_whole_number(text: str, found: int | None, beside: str) -> None:
    """An integral 12.0 is a count and a dash is none, beside plain counts and beside others."""
    frame = read([dict.fromkeys(SCHEMA, "1") | {"count_a": text, "count_b": beside}])
    assert frame is not None
    assert frame.get_column("count_a").to_list() == [found]


@pytest.mark.parametrize("text", ["12.5", "+5", " 5", "1e3", "1_000", "٣", "--5", "1234567890123456789012"])
def test_what_is_no_count_is_refused_by_its_name(text: str) -> None:
    """The error names field and value; a cast alone would take some of these."""
    row = dict.fromkeys(SCHEMA, "1") | {"count_b": text}
    with pytest.raises(ValueFormatError, match=r"count_b is .* which is not a valid count"):
        cast_text_columns(pl.DataFrame([row], SCHEMA), COLUMNS, AVERAGES)


def test_money_is_exact_and_only_averages_are_rounded() -> None:
    """A sum with five places is refused, not rounded; a quotient comes to four."""
    assert read([dict.fromkeys(SCHEMA, "1") | {"money_a": "1.23456"}]) is None
    frame = read([dict.fromkeys(SCHEMA, "1") | {"money_a": "0.1000", "money_b": "1.23456"}])
    assert frame is not None
    assert frame.select("money_a", "money_b").row(0) == (Decimal("0.1000"), Decimal("1.2346"))
