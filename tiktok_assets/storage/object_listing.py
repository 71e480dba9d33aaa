"""List the partition files of an object store, and the indexes of their metadata, with their versions."""

import re

from tiktok_assets.storage.files import (
    ADVERTISER_PREFIX,
    DATE_PREFIX,
    MONTH_PREFIX,
    PARTITION_FILE_NAME,
    ListedFile,
)
from tiktok_assets.storage.metadata_index import INDEX_FILE_NAME
from tiktok_assets.storage.object_reader import ObjectReader, StoredObject

_FILE = re.compile(
    rf"(?:{ADVERTISER_PREFIX}([^/]+)/(?:(?:{DATE_PREFIX}|{MONTH_PREFIX})([^/]+)/)?)?"
    rf"{re.escape(PARTITION_FILE_NAME)}"
)
_INDEX = re.compile(rf"{ADVERTISER_PREFIX}([^/]+)/{re.escape(INDEX_FILE_NAME)}")


def list_object_store_files(
    reader: ObjectReader, root: str, table: str, advertiser_id: str | None, first_day: str = ""
) -> tuple[list[ListedFile], dict[str, str]]:
    """List the partition files of a table in an object store, and the indexes of its advertisers.

    The version of a file is its ETag. One request of the store lists a thousand objects.

    Args:
        reader: lists the objects.
        root: the path of the tables in the object store.
        table: the name of the table.
        advertiser_id: the advertiser whose files are listed; "" for the file of the whole table, None for all.
        first_day: of an advertiser, only the days since this one (ISO 8601), and all months; "" for all, and the
            index.

    Returns:
        The files, sorted by advertiser and day, and by advertiser the version of its index.
    """
    prefixes = {None: f"{table}/", "": f"{table}/{PARTITION_FILE_NAME}"}
    prefix = prefixes.get(advertiser_id) or f"{table}/{ADVERTISER_PREFIX}{advertiser_id}/"
    # In the order of characters, the days come before the months, and the index before both.
    after = f"{prefix}{DATE_PREFIX}{first_day}" if first_day else ""
    start = len(f"{root}/{table}/")
    objects = reader.list_objects(root, prefix, after)
    files = {file for one in objects if (file := _parse_object(one, one.path[start:]))}
    keys = {(file.advertiser_id, file.day) for file in files}
    # A file of the whole table or advertiser takes precedence over files below it, as on a disk.
    valid = [
        file
        for file in sorted(files, key=lambda one: (one.advertiser_id or "", one.day or ""))
        if not {(None, None), (file.advertiser_id, None)} & keys - {(file.advertiser_id, file.day)}
    ]
    indexes = {match[1]: one.version or "" for one in objects if (match := _INDEX.fullmatch(one.path, start))}
    return valid, indexes


def _parse_object(listed: StoredObject, path: str) -> ListedFile | None:
    """Parse the path of an object below its table; None if it is not a partition file."""
    match = _FILE.fullmatch(path)
    return ListedFile(match[1], match[2], listed.version, listed.size) if match else None
