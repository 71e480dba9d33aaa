"""Tests of the store of thumbnails."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from upath import UPath

from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets_tests.storage.object_store import ObjectStore


@pytest.fixture(params=["disk", "object store"])
def thumbnails(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ThumbnailStore]:
    """A store on disk or in an object store."""
    if request.param == "disk":
        yield ThumbnailStore(UPath(str(tmp_path)))
        return
    with ObjectStore.serve_environment():
        yield ThumbnailStore(UPath(f"s3://{tmp_path.name}/data", use_listings_cache=False))


def test_content_is_stored_once(thumbnails: ThumbnailStore) -> None:
    """A thumbnail is stored below the start of its hash; storing it again adds nothing."""
    assert thumbnails.measure() == 0
    digest, added = thumbnails.write(b"picture")
    assert (digest, added) == (sha256(b"picture").hexdigest(), 7)
    assert thumbnails.write(b"picture") == (digest, 0)
    assert str(thumbnails.path(digest)).endswith(f"/thumbnails/{digest[:2]}/{digest}.webp")
    assert (thumbnails.read(digest), thumbnails.measure()) == (b"picture", 7)
    assert thumbnails.list_sizes() == {digest: 7}


def test_a_damaged_file_counts_as_missing_and_is_replaced(thumbnails: ThumbnailStore) -> None:
    """A file with other content than its hash says is not returned, and the next write replaces it."""
    digest, _ = thumbnails.write(b"picture")
    thumbnails.path(digest).write_bytes(b"pic")
    assert thumbnails.read(digest) is None
    assert thumbnails.write(b"picture") == (digest, 7)
    assert thumbnails.read(digest) == b"picture"


def test_only_hashes_are_paths(thumbnails: ThumbnailStore) -> None:
    """A name that is no hash reads nothing, so that a table's text cannot name another file."""
    assert thumbnails.read("../../etc/passwd") is None
    assert thumbnails.read("0" * 64) is None
