"""Test that a refresh fills the tables of videos and images, and what that costs."""

import pytest

from tiktok_assets.spec.media import MEDIA_TABLES
from tiktok_assets_tests.defs.conftest import Deployment

FILE_PATHS = tuple(media.entity.endpoint.path.strip("/") for media in MEDIA_TABLES)


def count_requests(deployment: Deployment) -> tuple[int, int]:
    """Refresh the lists; return the number of requests for files, and of all."""
    deployment.host.sandbox.state.requests.clear()
    assert deployment.run_range("refresh_accounts", deployment.advertiser_ids).success
    paths = [one["path"].strip("/") for one in deployment.host.requests]
    return sum(path.endswith(FILE_PATHS) for path in paths), len(paths)


@pytest.mark.slow
def test_only_the_first_refresh_requests_files(deployment: Deployment) -> None:
    """The first refresh takes a request for the videos and one for each identity of an account."""
    deployment.add_partitions()
    files, _ = count_requests(deployment)
    videos = deployment.read_table("videos")
    posts = deployment.read_table("posts").select("advertiser_id", "identity_id").unique()
    assert files == videos.get_column("advertiser_id").n_unique() + posts.height
    assert min(videos.get_column("advertiser_id").n_unique(), posts.get_column("advertiser_id").n_unique()) > 1
    assert videos.filter("is_listed").get_column("thumbnail").null_count() == 0
    assert count_requests(deployment)[0] == 0
    stored = sum(int(str(metadata["thumbnails"])) for _, metadata in deployment.materializations("videos"))
    assert stored == videos.filter("is_listed").height


def test_a_missing_permission_costs_only_these_tables(deployment: Deployment) -> None:
    """Without the permission for files the refresh succeeds after one request for videos and one for posts."""
    deployment.add_partitions()
    for path in FILE_PATHS:
        deployment.host.inject_fault("code", path=path, code=40131, times=None)
    files, _ = count_requests(deployment)
    assert files == 2
    assert deployment.materializations("ads")
    assert deployment.read_table("videos").is_empty()
    deployment.host.reset()
