"""Add up metrics: only additive ones, and never amounts of different currencies."""

from collections.abc import Iterable, Sequence

import polars as pl

from tiktok_assets.spec import ELEMENT, Metric, Report


class NotAdditiveError(ValueError):
    """A sum was requested of a metric that is not additive, such as reach, a rate or an average."""


class MixedCurrencyError(ValueError):
    """One total was requested of amounts in several currencies."""


def sum_expressions(metrics: Iterable[Metric]) -> list[pl.Expr]:
    """Return an expression per metric that sums it under its own name.

    Raises:
        NotAdditiveError: with the first metric that is not additive.
    """
    summed = list(metrics)
    if not_additive := [metric.name for metric in summed if not metric.is_additive]:
        raise NotAdditiveError(
            f"{not_additive[0]} cannot be summed; leave it out, or request it from TikTok at the level you need"
        )
    return [pl.col(metric.name).sum() for metric in summed]


def sum_expressions_or_null(metrics: Iterable[Metric]) -> list[pl.Expr]:
    """Return an expression per metric that sums it, and is null where every value is null.

    Raises:
        NotAdditiveError: with the first metric that is not additive.
    """
    summed = list(metrics)
    return [
        pl.when(pl.col(metric.name).count() > 0).then(total).alias(metric.name)
        for metric, total in zip(summed, sum_expressions(summed), strict=True)
    ]


def total_by_currency(frame: pl.DataFrame, metrics: Iterable[Metric], by: Sequence[str] = ()) -> pl.DataFrame:
    """Sum the additive metrics of a report by currency and further columns.

    Args:
        frame: rows of a report, with `currency` and the metrics.
        metrics: the metrics to sum; those that are not additive are left out.
        by: further columns to group by.

    Returns:
        One row per group, sorted; without `by`, one row per currency.
    """
    groups = [*by, *([] if "currency" in by else ["currency"])]
    return (
        frame.group_by(groups)
        .agg(sum_expressions(metric for metric in metrics if metric.is_additive))
        .sort(groups)
    )


def select_rows_to_sum(report: Report, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a report that can be added up: all, or those of the first part of a report in parts."""
    return frame.filter(pl.col(ELEMENT.name) == report.parts[0].name) if report.parts else frame


def single_currency(frame: pl.DataFrame) -> str | None:
    """Return the currency of all amounts of a frame; None if it has no rows.

    Raises:
        MixedCurrencyError: with the currencies, if there are several.
    """
    currencies = sorted(frame.get_column("currency").drop_nulls().unique())
    if len(currencies) > 1:
        raise MixedCurrencyError(
            f"amounts in {', '.join(currencies)} cannot be added up; show one total per currency, or convert"
        )
    return currencies[0] if currencies else None
