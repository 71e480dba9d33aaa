"""List the partition files of an object store with their versions, and read, replace and delete single objects."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tiktok_assets.storage.files import (
    ADVERTISER_PREFIX,
    DATE_PREFIX,
    MONTH_PREFIX,
    PARTITION_FILE_NAME,
    ListedFile,
)


def list_object_store_files(
    filesystem: Any,  # noqa: ANN401 - fsspec has no types
    root: str,
    table: str,
    advertiser_id: str | None,
    index_name: str,
) -> tuple[list[ListedFile], dict[str, str]]:
    """List the partition files of a table in an object store, and the indexes of its advertisers.

    The version of a file is its ETag. One request of the store lists a thousand objects.

    Args:
        filesystem: the file system of fsspec.
        root: the path of the tables in it.
        table: the name of the table.
        advertiser_id: the advertiser whose files are listed; "" for the file of the whole table, None for all.
        index_name: the name of the index in the folder of an advertiser.

    Returns:
        The files, sorted by advertiser and day, and by advertiser the version of its index.
    """
    prefixes = {None: f"{table}/", "": f"{table}/{PARTITION_FILE_NAME}"}
    prefix = prefixes.get(advertiser_id) or f"{table}/{ADVERTISER_PREFIX}{advertiser_id}/"
    objects = find_objects(filesystem, root, prefix)
    files = {
        file
        for path, info in objects.items()
        if (file := _parse_object_path(path.removeprefix(f"{root}/{table}/"), info))
    }
    keys = {(file.advertiser_id, file.day) for file in files}
    # A file of the whole table or advertiser takes precedence over files below it, as on a disk.
    valid = [
        file
        for file in sorted(files, key=lambda one: (one.advertiser_id or "", one.day or ""))
        if not {(None, None), (file.advertiser_id, None)} & keys - {(file.advertiser_id, file.day)}
    ]
    pattern = re.compile(rf"{re.escape(f'{root}/{table}/{ADVERTISER_PREFIX}')}([^/]+)/{re.escape(index_name)}")
    indexes = {
        match[1]: get_object_version(info) or ""
        for path, info in objects.items()
        if (match := pattern.fullmatch(path))
    }
    return valid, indexes


def _parse_object_path(path: str, info: dict[str, Any]) -> ListedFile | None:
    """Parse the path of an object below its table; None if it is not a partition file."""
    match = re.fullmatch(
        rf"(?:{ADVERTISER_PREFIX}([^/]+)/(?:(?:{DATE_PREFIX}|{MONTH_PREFIX})([^/]+)/)?)?"
        rf"{re.escape(PARTITION_FILE_NAME)}",
        path,
    )
    return ListedFile(match[1], match[2], get_object_version(info), int(info.get("size") or 0)) if match else None


def get_object_version(info: dict[str, Any]) -> str | None:
    """Return the ETag of an object, which identifies its content; None if the store has none."""
    return info.get("ETag") or info.get("etag")


def find_objects(filesystem: Any, folder: str, prefix: str) -> dict[str, dict[str, Any]]:  # noqa: ANN401 - as above
    """Return the objects below a folder whose path in it starts with a prefix, by path; one request per thousand.

    Args:
        filesystem: the file system of fsspec.
        folder: the path of the folder in it.
        prefix: the prefix; "" for all.

    Raises:
        OSError: if the object store cannot be listed.
    """
    with object_store_errors(), suppress(FileNotFoundError):
        # With a prefix, s3fs does not search for an object of that name if there are none below it.
        found: dict[str, dict[str, Any]] = filesystem.find(folder, prefix=prefix, detail=True)
        return found
    return {}


def read_object(filesystem: Any, path: str) -> bytes:  # noqa: ANN401 - as above
    """Return the content of an object that is not empty, with one request.

    Raises:
        OSError: if it cannot be read.
    """
    with object_store_errors():
        content: bytes = filesystem.cat_file(path, start=0)  # without a start, s3fs asks for the size first
    return content


def write_object(filesystem: Any, path: str, content: bytes, **conditions: str) -> None:  # noqa: ANN401 - as above
    """Replace an object with one request.

    Args:
        filesystem: the file system of fsspec.
        path: the path of the object in it.
        content: the new content.
        conditions: of S3, `IfMatch` with the version that is replaced, or `IfNoneMatch` with "*".

    Raises:
        OSError: if it cannot be written, or a condition does not hold.
    """
    with object_store_errors():
        filesystem.pipe_file(path, content, **conditions)


@contextmanager
def object_store_errors() -> Iterator[None]:
    """Turn the errors of an object store's client into `OSError`.

    fsspec passes some of them on, such as botocore's for a host that cannot be reached, and their types are in
    optional packages.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if type(error).__module__ == "builtins":  # an error of a program
            raise
        raise OSError(" ".join(str(error).split()) or type(error).__name__) from error
