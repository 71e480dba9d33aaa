"""Add up metrics: only additive ones, and never amounts of different currencies."""

from collections.abc import Iterable, Sequence

import polars as pl

from tiktok_assets.spec.metric_catalogue import Metric


class NotAdditiveError(ValueError):
    """A metric that may not be summed was to be: reach, a rate, an average."""


class MixedCurrencyError(ValueError):
    """Amounts of several currencies were to become one total."""


def sum_expressions(metrics: Iterable[Metric]) -> list[pl.Expr]:
    """The sums of these metrics, each under its own name.

    Raises:
        NotAdditiveError: naming the first that may not be summed.
    """
    wanted = list(metrics)
    if wrong := [metric.name for metric in wanted if not metric.additive]:
        raise NotAdditiveError(f"{wrong[0]} may not be summed; leave it out, or ask TikTok at the level you want")
    return [pl.col(metric.name).sum() for metric in wanted]


def sum_expressions_or_null(metrics: Iterable[Metric]) -> list[pl.Expr]:
    """The same, but null where no row says anything: zero would be a claim.

    Raises:
        NotAdditiveError: naming the first that may not be summed.
    """
    wanted = list(metrics)
    return [
        pl.when(pl.col(metric.name).count() > 0).then(total).alias(metric.name)
        for metric, total in zip(wanted, sum_expressions(wanted), strict=True)
    ]


def total_by_currency(frame: pl.DataFrame, metrics: Iterable[Metric], by: Sequence[str] = ()) -> pl.DataFrame:
    """The totals of a report by currency and these columns; without `by`, one row a currency.

    Args:
        frame: rows of a report, with `currency` and the metrics.
        metrics: those of them that are not additive are left out.
        by: what else to keep apart.
    """
    groups = [*by, *([] if "currency" in by else ["currency"])]
    return (
        frame.group_by(groups).agg(sum_expressions(metric for metric in metrics if metric.additive)).sort(groups)
    )


def single_currency(frame: pl.DataFrame) -> str | None:
    """The currency every amount of a frame is in; None for a frame without rows.

    Raises:
        MixedCurrencyError: naming them, if there are several.
    """
    currencies = sorted(frame.get_column("currency").drop_nulls().unique())
    if len(currencies) > 1:
        raise MixedCurrencyError(
            f"there is no total of {', '.join(currencies)}: show one for each currency, or convert them yourself"
        )
    return currencies[0] if currencies else None
