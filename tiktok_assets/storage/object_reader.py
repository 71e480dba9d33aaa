"""List and read many objects of an object store at a time: of S3 with obstore, of other stores with fsspec.

A call of s3fs takes 10 ms of CPU on one core, whatever the object store does. So a listing of 300 accounts of four
tables takes 12 s, and more calls at a time make it no faster. With obstore a call takes less than 1 ms.
"""

import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from fsspec.asyn import sync  # type: ignore[import-untyped] # fsspec has no types
from upath import UPath

from tiktok_assets.storage.object_files import (
    find_objects,
    get_object_version,
    object_store_errors,
    read_object,
)

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential, S3Store

_S3_PROTOCOLS = {"s3", "s3a"}
MAX_CALLS, _MAX_CALLS_OF_FSSPEC = 64, 16
"""How many calls at a time the two libraries make use of."""

_KEYS_PER_PAGE = 1000
_CREDENTIALS_KEPT = timedelta(minutes=10)
_PAUSE_SECONDS = 60.0
"""For so long after an error is fsspec used, which says what is wrong and has retries of its own."""

_CLIENT: "ClientConfig" = {"allow_http": True, "connect_timeout": "5s", "timeout": "30s"}
_RETRIES: "RetryConfig" = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}


class StoredObject(NamedTuple):
    """An object as listed.

    Attributes:
        path: its path with the bucket.
        version: its ETag, which identifies its content; None if the store has none.
        size: in bytes.
    """

    path: str
    version: str | None
    size: int


class ObjectReader:
    """List and read the objects of one object store; both raise `OSError` if it fails.

    Args:
        base: a folder in the object store.
    """

    def __init__(self, base: UPath) -> None:
        self._filesystem = base.fs
        self._bucket = base.path.split("/")[0]
        self._bucket_store: S3Store | None = None
        self._is_s3 = base.protocol in _S3_PROTOCOLS and find_spec("obstore") is not None
        self._paused_until = 0.0

    @property
    def max_calls(self) -> int:
        """How many calls should be made at a time."""
        return MAX_CALLS if self._is_s3 else _MAX_CALLS_OF_FSSPEC

    def list_objects(self, folder: str, prefix: str, after: str = "") -> list[StoredObject]:
        """List the objects below a folder whose path in it starts with a prefix; one call for a thousand.

        Args:
            folder: the path of the folder.
            prefix: the prefix; one that ends with a slash is listed with fewer resources.
            after: only paths that are later in the order of their characters, relative to the folder; other stores
                than S3 list all.

        Raises:
            OSError: if the object store cannot be listed.
        """
        if prefix.endswith("/") and (store := self._open()):
            import obstore  # noqa: PLC0415 - an optional extra
            from obstore.exceptions import BaseError  # noqa: PLC0415 - the same

            root = f"{self._bucket}/"
            key, offset = f"{folder}/{prefix}".removeprefix(root), f"{folder}/{after}".removeprefix(root)
            try:
                stream = obstore.list(store, key, offset=offset if after else None, chunk_size=_KEYS_PER_PAGE)
                return [
                    StoredObject(f"{root}{one['path']}", one["e_tag"], one["size"])
                    for page in stream
                    for one in page
                ]
            except (BaseError, OSError):
                self._pause()
        found = find_objects(self._filesystem, folder, prefix)
        first = f"{folder}/{after}" if after else ""
        return [
            StoredObject(path, get_object_version(info), int(info.get("size") or 0))
            for path, info in found.items()
            if path > first
        ]

    def read(self, path: str) -> tuple[bytes, str | None]:
        """Return the content of an object with one call, and its version if that is known.

        Raises:
            FileNotFoundError: if it does not exist.
            OSError: if it cannot be read.
        """
        if store := self._open():
            import obstore  # noqa: PLC0415 - an optional extra
            from obstore.exceptions import BaseError  # noqa: PLC0415 - the same

            try:
                found = obstore.get(store, path.removeprefix(f"{self._bucket}/"))
                return bytes(found.bytes()), found.meta["e_tag"]
            except FileNotFoundError:
                raise
            except (BaseError, OSError):
                self._pause()
        return read_object(self._filesystem, path), None

    def find_version(self, path: str) -> str | None:
        """Return the version of an object as it is now; None if the store has none.

        Raises:
            OSError: if the object store does not respond, or has no such object.
        """
        with object_store_errors():
            return get_object_version(self._filesystem.info(path))

    def _pause(self) -> None:
        self._paused_until = time.monotonic() + _PAUSE_SECONDS

    def _open(self) -> "S3Store | None":
        """Return the bucket with the address and the credentials that s3fs uses; None if fsspec is to be used."""
        if not self._is_s3 or time.monotonic() < self._paused_until:
            return None
        if self._bucket_store is None:
            from obstore.store import S3Store  # noqa: PLC0415 - an optional extra

            filesystem = self._filesystem
            try:
                filesystem.connect()
                client = filesystem.s3.meta
                access: dict[str, Any] = {"credential_provider": self._find_credentials}
                self._bucket_store = S3Store(
                    self._bucket,
                    endpoint=client.endpoint_url,
                    region=client.region_name or "us-east-1",
                    client_options=_CLIENT,
                    retry_config=_RETRIES,
                    **({"skip_signature": True} if filesystem.anon else access),
                )
            except Exception:  # noqa: BLE001 - of botocore or obstore; fsspec then reports it
                self._pause()
                return None
        return self._bucket_store

    def _find_credentials(self) -> "S3Credential":
        """Return the credentials that s3fs uses at this time."""
        filesystem = self._filesystem
        key, secret, token = filesystem.key, filesystem.secret, filesystem.token
        if not (key and secret):
            found = sync(filesystem.loop, self._read_session_credentials)
            key, secret, token = found.access_key, found.secret_key, found.token
        return {
            "access_key_id": key,
            "secret_access_key": secret,
            "token": token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_KEPT,
        }

    async def _read_session_credentials(self) -> Any:  # noqa: ANN401 - botocore has no types
        credentials = await self._filesystem.session.get_credentials()
        return await credentials.get_frozen_credentials()
