"""Keep the metadata of an account's newest days in one object, so that planning does not open a file a day.

The object lies beside the files of the days. Its entries are used only for the version of a file that a listing of
the object store shows, so an index that is lost, late or of another writer costs calls and changes no result.
"""

import gzip
import json
from collections.abc import Mapping
from typing import Any

INDEX_FILE_NAME = "_index.json.gz"
"""Query engines skip names that begin with an underscore."""

INDEXED_DAYS = 62
"""How many of the newest days an index has: what a refresh plans with and may read again."""

Entries = dict[str, tuple[str, dict[str, str]]]
"""By day (ISO 8601): the version of its file and the metadata of that version."""


def encode_index(entries: Mapping[str, tuple[str, Mapping[str, str]]]) -> bytes:
    """Return the content of an index with the newest days of some entries."""
    newest = {day: entries[day] for day in sorted(entries)[-INDEXED_DAYS:]}
    return gzip.compress(json.dumps(newest, separators=(",", ":")).encode(), compresslevel=1, mtime=0)


def decode_index(content: bytes) -> Entries:
    """Return the entries of an index; none if it is damaged or of a later release."""
    try:
        decoded: Any = json.loads(gzip.decompress(content))
        return {
            str(day): (str(version), {str(name): str(text) for name, text in metadata.items()})
            for day, (version, metadata) in decoded.items()
        }
    except (OSError, EOFError, ValueError, TypeError, AttributeError):
        return {}
