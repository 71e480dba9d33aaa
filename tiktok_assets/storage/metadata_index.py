"""Keep the metadata of an account's newest days in one object, so that planning does not open a file a day.

The object lies beside the files of the days. Its entries are used only for the version of a file that a listing of
the object store shows, so an index that is lost, late or of another writer costs calls and changes no result.
"""

import gzip
import json
from collections.abc import Mapping
from functools import lru_cache

import msgspec

INDEX_FILE_NAME = "_index.json.gz"
"""Query engines skip names that begin with an underscore."""

INDEXED_DAYS = 62
"""How many of the newest days an index has: what a refresh plans with and may read again."""

Entries = Mapping[str, tuple[str, dict[str, str]]]
"""By day (ISO 8601): the version of its file and the metadata of that version."""

_DECODED = 64
"""How many indexes are kept decoded. Those of 300 accounts are 20 MB, and decoded 400 MB; one account is read
after the other."""

_decoder = msgspec.json.Decoder(dict[str, tuple[str, dict[str, str]]])


def encode_index(entries: Mapping[str, tuple[str, Mapping[str, str]]]) -> bytes:
    """Return the content of an index with the newest days of some entries."""
    newest = {day: entries[day] for day in sorted(entries)[-INDEXED_DAYS:]}
    return gzip.compress(json.dumps(newest, separators=(",", ":")).encode(), compresslevel=1, mtime=0)


@lru_cache(_DECODED)
def decode_index(content: bytes) -> Entries:
    """Return the entries of an index; none if it is damaged or of a later release."""
    try:
        return _decoder.decode(gzip.decompress(content))
    except (OSError, EOFError, ValueError):  # msgspec's errors are of the last kind
        return {}
