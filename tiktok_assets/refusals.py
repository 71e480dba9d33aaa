"""What is refused before it replaces what stands: rows no reading of the API's contract allows."""

from collections.abc import Sequence

import polars as pl


def why_broken(frame: pl.DataFrame, key: Sequence[str], advertiser_id: str | None = None) -> str | None:
    """One clause saying why these rows must not be written, or None.

    Refused are rows without a key, two rows of one key and rows of another account. Negative spend is written as
    TikTok says it, since a credit is thinkable and a refusal would hide the day; a check tells of it.

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
    return None
