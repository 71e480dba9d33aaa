"""Tests of casting text columns: the value of a cell does not depend on other cells."""

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


def cast_rows(rows: Sequence[Mapping[str, str | None]]) -> pl.DataFrame | None:
    """Cast the rows, or return None if a value is invalid."""
    try:
        return cast_text_columns(pl.DataFrame(rows, SCHEMA), COLUMNS, AVERAGES)
    except ValueFormatError:
        return None


@pytest.mark.slow
@given(rows=ROWS)
def test_value_does_not_depend_on_other_rows(rows: list[dict[str, str | None]]) -> None:
    """Rows cast together equal rows cast one by one; one invalid value rejects all of them."""
    one_by_one = [cast_rows([row]) for row in rows]
    valid = [frame for frame in one_by_one if frame is not None]
    together = cast_rows(rows)
    if len(valid) < len(rows):
        assert together is None
    else:
        assert together is not None
        assert together.equals(pl.concat(valid))
        assert together.schema == pl.Schema({column.name: POLARS_TYPES[column.kind] for column in COLUMNS})


@pytest.mark.parametrize(
    ("text", "found"),
    [("12", 12), ("12.0", 12), ("-", None), ("", None), ("-3", -3), ("007", 7)],
)
@pytest.mark.parametrize("other", ["4", "-", "8.0"])
def test_count_is_a_whole_number(text: str, found: int | None, other: str) -> None:
    """12.0 is a count and a dash is null, whatever the other columns contain."""
    frame = cast_rows([dict.fromkeys(SCHEMA, "1") | {"count_a": text, "count_b": other}])
    assert frame is not None
    assert frame.get_column("count_a").to_list() == [found]


@pytest.mark.parametrize("text", ["12.5", "+5", " 5", "1e3", "1_000", "٣", "--5", "1234567890123456789012"])
def test_invalid_count_error_names_field_and_value(text: str) -> None:
    """The error has the field and the value; a Polars cast alone would accept some of these."""
    row = dict.fromkeys(SCHEMA, "1") | {"count_b": text}
    with pytest.raises(ValueFormatError, match=r"count_b is .* which is not a valid count"):
        cast_text_columns(pl.DataFrame([row], SCHEMA), COLUMNS, AVERAGES)


def test_only_averages_are_rounded() -> None:
    """An additive amount with five decimals is rejected; an average is rounded to four."""
    assert cast_rows([dict.fromkeys(SCHEMA, "1") | {"money_a": "1.23456"}]) is None
    frame = cast_rows([dict.fromkeys(SCHEMA, "1") | {"money_a": "0.1000", "money_b": "1.23456"}])
    assert frame is not None
    assert frame.select("money_a", "money_b").row(0) == (Decimal("0.1000"), Decimal("1.2346"))
