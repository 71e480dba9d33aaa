"""List, read and replace the objects of an object store with fsspec."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


def get_object_version(info: dict[str, Any]) -> str | None:
    """Return the ETag of an object, which identifies its content; None if the store has none."""
    return info.get("ETag") or info.get("etag")


def find_objects(
    filesystem: Any,  # noqa: ANN401 - fsspec has no types
    folder: str,
    prefix: str,
) -> dict[str, dict[str, Any]]:
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
