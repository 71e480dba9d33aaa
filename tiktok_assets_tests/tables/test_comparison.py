"""Test that a stored frame counts as equal only if nothing was lost."""

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.tables.comparison import describe_difference

WRITTEN = pl.DataFrame(
    {
        "ad_id": ["2", "1"],
        "date": [date(2026, 10, 1)] * 2,
        "spend": [Decimal("0.1000"), None],
        "fetched_at": [datetime(2026, 10, 2, 12, tzinfo=UTC)] * 2,
    },
    {"ad_id": pl.String, "date": pl.Date, "spend": pl.Decimal(18, 4), "fetched_at": pl.Datetime("us", "UTC")},
)
"""Two rows, one without spend."""

SAME = {
    "another order": WRITTEN.sort("ad_id").select("spend", "fetched_at", "date", "ad_id"),
    "a wider decimal": WRITTEN.cast({"spend": pl.Decimal(38, 10)}),
    "nanoseconds without a zone": WRITTEN.cast({"fetched_at": pl.Datetime("ns")}),
    "more columns": WRITTEN.with_columns(pl.lit("x").alias("partition")),
}
DIFFERENT = {
    "it returns a list, not a polars.DataFrame": [1],
    "the column spend is missing": WRITTEN.drop("spend"),
    "the column spend is decimal(18, 4), but was stored as Float64": WRITTEN.cast({"spend": pl.Float64}),
    "the column spend is decimal(18, 4), but was stored as decimal(18, 2)": WRITTEN.cast(
        {"spend": pl.Decimal(18, 2)}
    ),
    "the column date is Date, but was stored as String": WRITTEN.cast({"date": pl.String}),
    "2 rows were written, but 4 are stored": pl.concat([WRITTEN, WRITTEN]),
    "values of the column spend differ": WRITTEN.with_columns(pl.col("spend").fill_null(0)),
    "values of the column ad_id differ": WRITTEN.with_columns(pl.col("ad_id").str.replace("1", "3")),
}


@pytest.mark.parametrize("case", SAME)
def test_same_values_are_equal(case: str) -> None:
    """The order of rows and columns and the width of a type do not matter."""
    assert describe_difference(WRITTEN, SAME[case], ["ad_id"]) is None


@pytest.mark.parametrize("difference", DIFFERENT)
def test_first_difference_is_named(difference: str) -> None:
    """A float, a rounded amount, another day, and missing, repeated or changed rows are named."""
    assert describe_difference(WRITTEN, DIFFERENT[difference], ["ad_id"]) == difference
