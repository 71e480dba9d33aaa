"""What holds of the rows of any table: keys, known values, known fields, no negative spend, known parents."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import polars as pl

from tiktok_assets.checking.finding import Finding
from tiktok_assets.values import MALFORMED, json_text, malformed_of

MOST_MISFITS = 5
MOST_SHOWN = 100

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def keys_name_rows(frame: pl.DataFrame, key: Sequence[str]) -> Finding:
    """Every row has its whole key, and no two rows have the same."""
    nameless = frame.select(key).filter(pl.any_horizontal(pl.all().is_null()))
    shared = frame.group_by(key).len("rows").filter(pl.col("rows") > 1).sort(key)
    return Finding.of(nameless.with_columns(why=pl.lit("null in the key"))) + Finding.of(
        shared.with_columns(why=pl.lit("one key, several rows"))
    )


def known_values(frame: pl.DataFrame, allowed: Mapping[str, Collection[str]]) -> Finding:
    """Columns with a closed list of values hold no other; null is no value."""
    finding = Finding()
    for column, values in allowed.items():
        counts = frame.get_column(column).drop_nulls().value_counts(name="rows")
        strange = counts.filter(~pl.col(column).is_in(sorted(values))).sort(column)
        finding += Finding.of(
            strange.select(pl.lit(column).alias("column"), pl.col(column).alias("value"), "rows")
        )
    return finding


def known_fields(frame: pl.DataFrame, documented: Collection[str]) -> Finding:
    """The API sent no field that neither a column nor TikTok's documentation knows."""
    texts = frame.get_column("extra").drop_nulls().unique()
    names = {name for text in texts for name in _FIELDS.decode(text)} - {MALFORMED}
    return Finding.of({"field": name} for name in sorted(names - set(documented)))


def values_fit(frame: pl.DataFrame, key: Sequence[str]) -> Finding:
    """Every value was what its column is; of those that were not, what came, beside the ids of their rows."""
    odd = frame.filter(pl.col("extra").str.contains(MALFORMED, literal=True)).sort(key)
    faults = [
        {**{name: str(row[name]) for name in key}, "field": name, "value": _short(value)}
        for row in odd.iter_rows(named=True)
        for name, value in malformed_of(row["extra"]).items()
    ]
    return Finding.of(faults, most=MOST_MISFITS)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json_text(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def no_negative_spend(frame: pl.DataFrame, columns: Sequence[str], key: Sequence[str]) -> Finding:
    """Nothing cost less than nothing."""
    return Finding.of(frame.filter(pl.any_horizontal(pl.col(columns) < 0)).select(*key, *columns).sort(key))


def parents_known(frame: pl.DataFrame, known: Mapping[str, Collection[str] | None]) -> Finding:
    """Every campaign, ad group and ad a row names is in its table.

    Args:
        frame: rows of one account.
        known: by id column, the ids that are known; None where their table was not read for the account yet.
    """
    finding = Finding()
    for column, ids in known.items():
        named = frame.select("advertiser_id", column).drop_nulls().unique()
        if ids is None:
            notes = [f"{column} was not judged: its table does not stand for the account"] if named.height else []
            finding += Finding(notes=tuple(notes))
            continue
        strangers = named.filter(~pl.col(column).is_in(sorted(ids))).sort(column)
        finding += Finding.of(
            strangers.select("advertiser_id", pl.lit(column).alias("column"), pl.col(column).alias("id"))
        )
    return finding
