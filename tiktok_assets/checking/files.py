"""What holds of the files of a table: each can be read and has the types its columns are declared with."""

from collections.abc import Mapping

import polars as pl

from tiktok_assets.checking.finding import Finding
from tiktok_assets.storage.hive_parquet import Partition

Schemas = Mapping[Partition, pl.Schema | None]
"""By partition, what its file holds; None where the file cannot be read."""


def declared_schema(schemas: Schemas, declared: pl.Schema, key: tuple[str, ...]) -> Finding:
    """Every file holds the declared types, and the key among its columns.

    A file written before a column was added lacks it, and one written with more metrics has more: both are
    read as they should be, and only counted.
    """
    faults, lacking = [], set[str]()
    for partition, schema in schemas.items():
        faults += [{"partition": partition.folder or "all", **fault} for fault in _faults(schema, declared, key)]
        lacking |= declared.keys() - schema.keys() if schema is not None else set()
    notes = [f"some files lack the newer columns {', '.join(sorted(lacking - set(key)))}"] if lacking else []
    return Finding.of(faults, notes=notes)


def fits(schema: pl.Schema | None, declared: pl.Schema, key: tuple[str, ...]) -> bool:
    """Whether a file can be read as the table it belongs to."""
    return not _faults(schema, declared, key)


def _faults(schema: pl.Schema | None, declared: pl.Schema, key: tuple[str, ...]) -> list[dict[str, str]]:
    if schema is None:
        return [{"column": "", "declared": "", "stored": "cannot be read"}]
    wrong = [name for name in declared if name in schema and schema[name] != declared[name]]
    absent = [name for name in key if name not in schema]
    return [
        {"column": name, "declared": str(declared[name]), "stored": str(schema.get(name, "missing"))}
        for name in [*absent, *wrong]
    ]
