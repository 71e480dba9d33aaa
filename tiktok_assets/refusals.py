"""What is refused before it replaces what stands: rows no reading of the API's contract allows."""

from collections.abc import Sequence

import polars as pl

from tiktok_assets.spec.metrics import METRICS

COUNTS = frozenset(metric.name for metric in METRICS if metric.kind == "count")


def why_broken(frame: pl.DataFrame, key: Sequence[str], advertiser_id: str | None = None) -> str | None:
    """One clause saying why these rows must not be written, or None.

    Refused are rows without a key, two rows of one key, rows of another account and things that happened fewer
    than zero times. Negative spend is written as TikTok says it, since a credit is thinkable and a refusal would
    hide the day; a check tells of it.

    Args:
        frame: the rows.
        key: the columns that name a row.
        advertiser_id: the account that was asked for; None where several were.
    """
    if advertiser_id and (strangers := frame.filter(pl.col("advertiser_id").ne_missing(advertiser_id)).height):
        return f"{strangers} rows are of another account"
    names = frame.select(key)
    for column in key:
        if nameless := names.get_column(column).null_count():
            return f"{nameless} rows have no {column}"
    if (twice := names.is_duplicated()).any():
        shared = names.filter(twice)
        return (
            f"{shared.height} rows share their key, the first {', '.join(str(value) for value in shared.row(0))}"
        )
    counts = frame.select(name for name, kind in frame.schema.items() if name in COUNTS and kind.is_integer())
    for count, least in zip(counts, counts.min().row(0), strict=True):
        if least is not None and least < 0:
            below = count.filter(count < 0)
            return f"{count.name} is {below[0]} in {len(below)} rows"
    return None
