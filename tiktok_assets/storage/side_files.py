"""Read and write small files beside the partitions of a table; each can be lost, and is made again."""

from contextlib import suppress

from tiktok_assets.storage.files import write_atomically
from tiktok_assets.storage.object_files import object_store_errors
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.storage.partition import validate_name


def read_side_file(store: HiveStore, table: str, name: str) -> bytes:
    """Read a file beside the partitions of a table; empty if it does not exist or cannot be read."""
    with suppress(OSError), object_store_errors():
        content: bytes = (store.base / validate_name(table, "table") / name).read_bytes()
        return content
    return b""


def write_side_file(store: HiveStore, table: str, name: str, content: bytes) -> None:
    """Replace a file beside the partitions of a table in one step; a store that is read-only stays as it is."""
    with suppress(OSError), object_store_errors():
        write_atomically(content, store.base / validate_name(table, "table") / name)
