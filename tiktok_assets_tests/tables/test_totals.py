"""Tests of totals: only additive metrics are summed, anywhere in the package, and never different currencies."""

import ast
import re
from collections.abc import Iterator
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.duplication.results import _SUMS
from tiktok_assets.spec.metric_catalog import METRICS
from tiktok_assets.spec.metric_selection import METRICS_BY_API_NAME, STANDARD_METRICS
from tiktok_assets.tables.totals import (
    MixedCurrencyError,
    NotAdditiveError,
    single_currency,
    sum_expressions,
    sum_expressions_or_null,
    total_by_currency,
)
from tiktok_assets_tests.quality.sample_frames import ads
from tiktok_assets_tests.test_layers import MODULES, package_of, parse, path_of

NOT_ADDITIVE = {metric.name for metric in METRICS if not metric.is_additive}
MIXED = ads(
    {"ad_id": "1", "spend": "1.5", "clicks": 2, "reach": 9},
    {"ad_id": "2", "spend": "2.5", "clicks": 3, "reach": 9},
    {"ad_id": "3", "spend": "700", "clicks": 4, "reach": 9, "currency": "JPY"},
)

SUM_METHODS = {"sum", "cum_sum", "rolling_sum", "sum_horizontal"}
_SQL = re.compile(r"\bsum\s*\(\s*\"?([a-z_0-9]+)\"?\s*\)", re.IGNORECASE)

SUMS_BY_NAME_LIST = {
    "tables/totals.py": "checks `additive` of each metric",
    "duplication/results.py": "its names are those of `_SUMS`, tested below",
    "tables/report_row_parser.py": "checks `additive` of each metric",
    "creatives/fatigue.py": "spend, and the counts of `RATES` above and below the line",
    "creatives/rate_comparison.py": "the same under short names, and weights",
    "ingest/task_files.py": "its names are `COMPARED_METRICS`: spend, clicks and impressions",
    "ingest/restatements.py": "spend and conversion, under the names of its own columns",
}
"""Modules with sums over names that are not literals, and why these are additive."""


def find_sums(name: str, tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Yield each sum over a column in a module, with the module and the column; None if it is not a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((name, column) for column in _SQL.findall(node.value))
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SUM_METHODS
        ):
            continue
        summed = node if ast.unparse(node.func.value) == "pl" else node.func.value
        args = summed.args if isinstance(summed, ast.Call) else []
        literal = [one.value for one in args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        yield from ((name, column) for column in literal)
        if not literal:
            yield name, None


@pytest.mark.slow
def test_no_module_sums_a_metric_that_is_not_additive() -> None:
    """No sum of a column in Polars or SQL, anywhere in the package, is of a rate, an average or reach."""
    modules = [module for module in MODULES if package_of(module) != "sandbox"]
    found = [one for module in modules for one in find_sums(path_of(module), parse(module))]
    assert [(name, column) for name, column in found if column in NOT_ADDITIVE] == []
    assert ("tables/totals.py", None) in found
    assert {name for name, column in found if column is None} <= SUMS_BY_NAME_LIST.keys()


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
def test_search_finds_every_form_of_sum(code: str, column: str | None) -> None:
    """The search finds a sum in each form the package could contain."""
    assert list(find_sums("here", ast.parse(code))) == [("here", column)]


def test_list_of_summed_names_is_additive() -> None:
    """A module that sums a list of names has no rate, average or reach in it."""
    assert not NOT_ADDITIVE.intersection(_SUMS)


def test_sum_of_a_metric_that_is_not_additive_is_rejected() -> None:
    """Summing reach raises an error with its name; the totals of a report leave it out."""
    with pytest.raises(NotAdditiveError, match="reach cannot be summed"):
        sum_expressions([METRICS_BY_API_NAME["spend"], METRICS_BY_API_NAME["reach"]])
    assert "reach" not in total_by_currency(MIXED, STANDARD_METRICS).columns
    with pytest.raises(NotAdditiveError, match="reach cannot be summed"):
        sum_expressions_or_null([METRICS_BY_API_NAME["reach"]])


def test_sum_of_nulls_is_null() -> None:
    """A sum is of the known values; it is null if all values are null or there are no rows."""
    wanted = sum_expressions_or_null([METRICS_BY_API_NAME["clicks"], METRICS_BY_API_NAME["likes"]])
    some = ads({"ad_id": "1", "clicks": 2}, {"ad_id": "2"})
    assert some.select(wanted).rows() == [(2, None)]
    assert some.clear().select(wanted).rows() == [(None, None)]


def test_totals_are_per_currency() -> None:
    """Totals of several currencies are several rows with exact amounts, for any grouping."""
    sums = total_by_currency(MIXED, STANDARD_METRICS).select("currency", "spend", "clicks")
    assert sums.rows() == [("EUR", Decimal("4.0000"), 5), ("JPY", Decimal("700.0000"), 4)]
    assert total_by_currency(MIXED, STANDARD_METRICS, ["date"]).height == 2
    assert total_by_currency(MIXED.clear(), STANDARD_METRICS).is_empty()


def test_single_currency_of_mixed_amounts_is_rejected() -> None:
    """The error names the currencies and says what to do."""
    assert single_currency(MIXED.filter(pl.col("currency") == "EUR")) == "EUR"
    assert single_currency(MIXED.clear()) is None
    with pytest.raises(MixedCurrencyError, match="amounts in EUR, JPY cannot be added up"):
        single_currency(MIXED)
