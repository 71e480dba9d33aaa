"""Check the files and rows of any table: schema, keys, values, fields, spend and parent ids."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import polars as pl

from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets.tables.cells import MALFORMED, decode_malformed_values, encode_json

FileSchemas = Mapping[Partition, pl.Schema | None]
"""By partition, what its file holds; None where the file cannot be read."""


def check_declared_schema(schemas: FileSchemas, declared: pl.Schema, key: tuple[str, ...]) -> CheckOutcome:
    """Every file holds the declared types, and the key among its columns.

    A file written before a column was added lacks it, and one written with more metrics has more: both are
    read as they should be, and only counted.
    """
    faults, lacking = [], set[str]()
    for partition, schema in schemas.items():
        faults += [
            {"partition": partition.folder or "all", **fault}
            for fault in _find_schema_faults(schema, declared, key)
        ]
        lacking |= declared.keys() - schema.keys() if schema is not None else set()
    notes = [f"some files lack the newer columns {', '.join(sorted(lacking - set(key)))}"] if lacking else []
    return CheckOutcome.of(faults, notes=notes)


def is_readable(schema: pl.Schema | None, declared: pl.Schema, key: tuple[str, ...]) -> bool:
    """Whether a file can be read as the table it belongs to."""
    return not _find_schema_faults(schema, declared, key)


def _find_schema_faults(
    schema: pl.Schema | None, declared: pl.Schema, key: tuple[str, ...]
) -> list[dict[str, str]]:
    if schema is None:
        return [{"column": "", "declared": "", "stored": "cannot be read"}]
    wrong = [name for name in declared if name in schema and schema[name] != declared[name]]
    absent = [name for name in key if name not in schema]
    return [
        {"column": name, "declared": str(declared[name]), "stored": str(schema.get(name, "missing"))}
        for name in [*absent, *wrong]
    ]


MAX_MALFORMED_VALUES = 5
MAX_VALUE_LENGTH = 100

_EXTRA_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check_unique_keys(frame: pl.DataFrame, key: Sequence[str]) -> CheckOutcome:
    """Every row has its whole key, and no two rows have the same."""
    nameless = frame.select(key).filter(pl.any_horizontal(pl.all().is_null()))
    shared = frame.group_by(key).len("rows").filter(pl.col("rows") > 1).sort(key)
    return CheckOutcome.of(nameless.with_columns(why=pl.lit("null in the key"))) + CheckOutcome.of(
        shared.with_columns(why=pl.lit("one key, several rows"))
    )


def check_known_values(frame: pl.DataFrame, allowed: Mapping[str, Collection[str]]) -> CheckOutcome:
    """Columns with a closed list of values hold no other; null is no value."""
    finding = CheckOutcome()
    for column, values in allowed.items():
        counts = frame.get_column(column).drop_nulls().value_counts(name="rows")
        strange = counts.filter(~pl.col(column).is_in(sorted(values))).sort(column)
        finding += CheckOutcome.of(
            strange.select(pl.lit(column).alias("column"), pl.col(column).alias("value"), "rows")
        )
    return finding


def check_known_fields(frame: pl.DataFrame, documented: Collection[str]) -> CheckOutcome:
    """The API sent no field that neither a column nor TikTok's documentation knows."""
    texts = frame.get_column("extra").drop_nulls().unique()
    names = {name for text in texts for name in _EXTRA_DECODER.decode(text)} - {MALFORMED}
    return CheckOutcome.of({"field": name} for name in sorted(names - set(documented)))


def check_malformed_values(frame: pl.DataFrame, key: Sequence[str]) -> CheckOutcome:
    """Every value was what its column is; of those that were not, what came, beside the ids of their rows."""
    odd = frame.filter(pl.col("extra").str.contains(MALFORMED, literal=True)).sort(key)
    faults = [
        {**{name: str(row[name]) for name in key}, "field": name, "value": _shorten(value)}
        for row in odd.iter_rows(named=True)
        for name, value in decode_malformed_values(row["extra"]).items()
    ]
    return CheckOutcome.of(faults, most=MAX_MALFORMED_VALUES)


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else encode_json(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def check_negative_spend(frame: pl.DataFrame, columns: Sequence[str], key: Sequence[str]) -> CheckOutcome:
    """Nothing cost less than nothing."""
    return CheckOutcome.of(frame.filter(pl.any_horizontal(pl.col(columns) < 0)).select(*key, *columns).sort(key))


def check_known_parents(frame: pl.DataFrame, known: Mapping[str, Collection[str] | None]) -> CheckOutcome:
    """Every campaign, ad group and ad a row names is in its table.

    Args:
        frame: rows of one account.
        known: by id column, the ids that are known; None where their table was not read for the account yet.
    """
    finding = CheckOutcome()
    for column, ids in known.items():
        named = frame.select("advertiser_id", column).drop_nulls().unique()
        if ids is None:
            notes = [f"{column} was not judged: its table does not stand for the account"] if named.height else []
            finding += CheckOutcome(notes=tuple(notes))
            continue
        strangers = named.filter(~pl.col(column).is_in(sorted(ids))).sort(column)
        finding += CheckOutcome.of(
            strangers.select("advertiser_id", pl.lit(column).alias("column"), pl.col(column).alias("id"))
        )
    return finding
