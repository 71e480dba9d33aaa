"""Laws of sums: only additive metrics are added up, anywhere in the package, and never two currencies."""

import ast
import re
from collections.abc import Iterator
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.duplication.results import _SUMS
from tiktok_assets.spec.metric_catalogue import METRICS
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, STANDARD_METRICS
from tiktok_assets.tables.totals import (
    MixedCurrencyError,
    NotAdditiveError,
    single_currency,
    sum_expressions,
    sum_expressions_or_null,
    total_by_currency,
)
from tiktok_assets_tests.quality.sample_frames import ads
from tiktok_assets_tests.test_rooms import MODULES, name_of, parsed, room_of

NOT_ADDITIVE = {metric.name for metric in METRICS if not metric.additive}
MIXED = ads(
    {"ad_id": "1", "spend": "1.5", "clicks": 2, "reach": 9},
    {"ad_id": "2", "spend": "2.5", "clicks": 3, "reach": 9},
    {"ad_id": "3", "spend": "700", "clicks": 4, "reach": 9, "currency": "JPY"},
)

ADDS_UP = {"sum", "cum_sum", "rolling_sum", "sum_horizontal"}
_SQL = re.compile(r"\bsum\s*\(\s*\"?([a-z_0-9]+)\"?\s*\)", re.IGNORECASE)

BY_OTHER_NAMES = {
    "totals.py": "asks each metric whether it is additive",
    "duplication/results.py": "its names are those of `_SUMS`, held below",
    "row_checks.py": "asks each metric whether it is additive",
    "ingest/restatements.py": "spend and conversion, by the names of its own columns",
}
"""Where a sum is over a name that is not written beside it, and why that is right."""


def sums_in(name: str, tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Each sum over a column in a module: the module and the column's name; None where it is no literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((name, column) for column in _SQL.findall(node.value))
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ADDS_UP):
            continue
        summed = node if ast.unparse(node.func.value) == "pl" else node.func.value
        args = summed.args if isinstance(summed, ast.Call) else []
        literal = [one.value for one in args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        yield from ((name, column) for column in literal)
        if not literal:
            yield name, None


def test_no_module_adds_up_what_is_not_additive() -> None:
    """Wherever the package sums a column by name, in Polars or SQL, the column is no rate, average or reach."""
    modules = [module for module in MODULES if room_of(module) != "sandbox"]
    found = [one for module in modules for one in sums_in(name_of(module), parsed(module))]
    assert [(name, column) for name, column in found if column in NOT_ADDITIVE] == []
    assert ("totals.py", None) in found
    assert {name for name, column in found if column is None} <= BY_OTHER_NAMES.keys()


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("frame.get_column('reach').sum()", "reach"),
        ("pl.col('ctr').sum()", "ctr"),
        ("pl.sum('reach')", "reach"),
        ("sql = 'SELECT sum(frequency) FROM t'", "frequency"),
        ("pl.col(name).sum()", None),
    ],
)
def test_the_law_sees_every_way_of_summing(code: str, column: str | None) -> None:
    """A forbidden sum is found in each of the ways the package could write it."""
    assert list(sums_in("here", ast.parse(code))) == [("here", column)]


def test_what_is_summed_by_a_list_of_names_is_additive() -> None:
    """Where a module sums by a list of names, none of them is a rate, an average or reach."""
    assert not NOT_ADDITIVE.intersection(_SUMS)


def test_a_metric_that_is_not_additive_is_refused() -> None:
    """Asked to sum reach, nothing is summed and the error names it; a report's totals leave it out."""
    with pytest.raises(NotAdditiveError, match="reach cannot be summed"):
        sum_expressions([METRICS_BY_API_NAME["spend"], METRICS_BY_API_NAME["reach"]])
    assert "reach" not in total_by_currency(MIXED, STANDARD_METRICS).columns
    with pytest.raises(NotAdditiveError, match="reach cannot be summed"):
        sum_expressions_or_null([METRICS_BY_API_NAME["reach"]])


def test_nothing_known_is_no_zero() -> None:
    """A sum of known values is theirs; where no row says anything, or there is no row, there is no sum."""
    wanted = sum_expressions_or_null([METRICS_BY_API_NAME["clicks"], METRICS_BY_API_NAME["likes"]])
    some = ads({"ad_id": "1", "clicks": 2}, {"ad_id": "2"})
    assert some.select(wanted).rows() == [(2, None)]
    assert some.clear().select(wanted).rows() == [(None, None)]


def test_totals_are_shown_per_currency() -> None:
    """Whatever they are grouped by, totals of several currencies are several rows, exact to the last digit."""
    sums = total_by_currency(MIXED, STANDARD_METRICS).select("currency", "spend", "clicks")
    assert sums.rows() == [("EUR", Decimal("4.0000"), 5), ("JPY", Decimal("700.0000"), 4)]
    assert total_by_currency(MIXED, STANDARD_METRICS, ["date"]).height == 2
    assert total_by_currency(MIXED.clear(), STANDARD_METRICS).is_empty()


def test_one_amount_of_two_currencies_is_refused() -> None:
    """Who needs a single amount gets an error that names the currencies and the mend."""
    assert single_currency(MIXED.filter(pl.col("currency") == "EUR")) == "EUR"
    assert single_currency(MIXED.clear()) is None
    with pytest.raises(MixedCurrencyError, match="amounts in EUR, JPY cannot be added up"):
        single_currency(MIXED)
