"""Check the files and rows of any table: schema, keys, values, fields, spend and parent ids."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import polars as pl

from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.storage import Partition
from tiktok_assets.tables import MALFORMED, decode_malformed_values, encode_json

FileSchemas = Mapping[Partition, pl.Schema | None]
"""The schema of each partition's file; None if the file cannot be read."""


def check_declared_schema(schemas: FileSchemas, declared: pl.Schema, key: tuple[str, ...]) -> CheckOutcome:
    """Check that every file has the declared types and contains the key columns.

    A file written before a column was added lacks it, and a file written with more metrics has additional columns.
    Both are read correctly, so they are only noted.
    """
    faults, lacking = [], set[str]()
    for partition, schema in schemas.items():
        found = _find_schema_faults(schema, declared, key)
        faults += [{"partition": partition.folder or "all", **fault} for fault in found]
        lacking |= declared.keys() - schema.keys() if schema is not None else set()
    notes = [f"some files lack the newer columns {', '.join(sorted(lacking - set(key)))}"] if lacking else []
    return CheckOutcome.from_faults(faults, notes=notes)


def is_readable(schema: pl.Schema | None, declared: pl.Schema, key: tuple[str, ...]) -> bool:
    """Return whether a file can be read with the declared schema of its table."""
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
    """Check that every row has a complete key and no two rows have the same key."""
    incomplete = frame.select(key).filter(pl.any_horizontal(pl.all().is_null()))
    duplicates = frame.group_by(key).len("rows").filter(pl.col("rows") > 1).sort(key)
    return CheckOutcome.from_faults(
        incomplete.with_columns(why=pl.lit("null in the key"))
    ) + CheckOutcome.from_faults(duplicates.with_columns(why=pl.lit("several rows with the same key")))


def check_known_values(frame: pl.DataFrame, allowed: Mapping[str, Collection[str]]) -> CheckOutcome:
    """Check that columns with a closed list of values contain no other value; nulls are allowed.

    Args:
        frame: the rows.
        allowed: the documented values by column.
    """
    outcome = CheckOutcome()
    for column, values in allowed.items():
        counts = frame.get_column(column).drop_nulls().value_counts(name="rows")
        unknown = counts.filter(~pl.col(column).is_in(sorted(values))).sort(column)
        outcome += CheckOutcome.from_faults(
            unknown.select(pl.lit(column).alias("column"), pl.col(column).alias("value"), "rows")
        )
    return outcome


def check_known_fields(frame: pl.DataFrame, documented: Collection[str]) -> CheckOutcome:
    """Check that the API sent no field that is neither a column nor documented by TikTok."""
    texts = frame.get_column("extra").drop_nulls().unique()
    names = {name for text in texts for name in _EXTRA_DECODER.decode(text)} - {MALFORMED}
    return CheckOutcome.from_faults({"field": name} for name in sorted(names - set(documented)))


def check_malformed_values(frame: pl.DataFrame, key: Sequence[str]) -> CheckOutcome:
    """Check that every value fitted its column; list the original values of the others, with their keys."""
    malformed = frame.filter(pl.col("extra").str.contains(MALFORMED, literal=True)).sort(key)
    faults = [
        {**{name: str(row[name]) for name in key}, "field": name, "value": _shorten(value)}
        for row in malformed.iter_rows(named=True)
        for name, value in decode_malformed_values(row["extra"]).items()
    ]
    return CheckOutcome.from_faults(faults, max_faults=MAX_MALFORMED_VALUES)


def _shorten(value: object) -> str:
    text = value if isinstance(value, str) else encode_json(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def check_negative_spend(frame: pl.DataFrame, columns: Sequence[str], key: Sequence[str]) -> CheckOutcome:
    """Check that no spend is negative."""
    negative = frame.filter(pl.any_horizontal(pl.col(columns) < 0))
    return CheckOutcome.from_faults(negative.select(*key, *columns).sort(key))


def check_known_parents(frame: pl.DataFrame, known: Mapping[str, Collection[str] | None]) -> CheckOutcome:
    """Check that every campaign, ad group and ad referenced by a row is in its table.

    Args:
        frame: rows of one account.
        known: the known ids by id column; None if their table has no file for the account yet.
    """
    outcome = CheckOutcome()
    for column, ids in known.items():
        referenced = frame.select("advertiser_id", column).drop_nulls().unique()
        if ids is None:
            has_references = referenced.height > 0
            notes = [f"{column} was not checked: its table has no file for the account"] if has_references else []
            outcome += CheckOutcome(notes=tuple(notes))
            continue
        unknown = referenced.filter(~pl.col(column).is_in(sorted(ids))).sort(column)
        outcome += CheckOutcome.from_faults(
            unknown.select("advertiser_id", pl.lit(column).alias("column"), pl.col(column).alias("id"))
        )
    return outcome
