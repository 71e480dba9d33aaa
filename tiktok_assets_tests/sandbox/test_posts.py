"""Tests of identities and posts: which ones exist, until when, and which ones ads may use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tiktok_assets.sandbox.world.api_objects import OWNER_BC_ID, ad_source
from tiktok_assets.sandbox.world.model import Ad
from tiktok_assets_tests.sandbox.conftest import Api
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.test_contracts import violations

PULL = {"video_id": None, "image_ids": None, "ad_text": None}


def ad_with_source(api: Api, account: str, source: str) -> tuple[Ad, dict[str, Any]]:
    """Return a generated ad of a source (`pull`, `push` or `custom`) and its object."""
    ads = api.sandbox.world.advertisers[account].ads
    ad = next(one for one in ads if ad_source(one) == source and not one.deleted and not one.in_review)
    (row,) = api.get("ad/get", advertiser_id=account, filtering={"ad_ids": [ad.id]})["data"]["list"]
    return ad, row


def identity_params(row: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of identity/video/info for the identity of an ad."""
    return {
        "advertiser_id": row["advertiser_id"],
        "identity_type": row["identity_type"],
        "identity_id": row["identity_id"],
    }


@contextmanager
def withdrawn(api: Api, post: str) -> Iterator[None]:
    """Withdraw the authorization of a post as of an hour ago, and restore it afterwards."""
    withdrawn_posts = api.sandbox.world.withdrawn_posts
    withdrawn_posts[post] = api.sandbox.state.now - 3600
    try:
        yield
    finally:
        del withdrawn_posts[post]


@pytest.mark.parametrize("source", ["pull", "push"])
def test_post_belongs_to_its_identity(factory: EntityFactory, source: str) -> None:
    """item_id and item_ids both follow the contract; another identity, item type or post is refused."""
    api = factory.api
    _, row = ad_with_source(api, factory.account, source)
    post = row["tiktok_item_id"]
    one = api.get("identity/video/info", **identity_params(row), item_id=post)
    several = api.get("identity/video/info", **identity_params(row), item_ids=[post, "12"])
    assert violations("identity/video/info", one) == violations("identity/video/info", several) == []
    assert several["data"]["video_details"] == [one["data"]["video_detail"]]
    assert (one["data"]["video_detail"]["auth_info"] is None) == (source == "push")
    for other in ({"identity_id": "4711"}, {"item_type": "CAROUSEL"}, {"item_id": "12"}):
        response = api.get("identity/video/info", **{**identity_params(row), "item_id": post, **other})
        assert (response["code"], "not associated" in response["message"]) == (40002, True)


def test_withdrawn_post_is_refused(factory: EntityFactory) -> None:
    """A withdrawn post is refused in ads; identity/video/info returns it only if it is a creator's."""
    api = factory.api
    group = factory.old_ad_group()
    for source in ("pull", "push"):
        _, row = ad_with_source(api, factory.account, source)
        post = row["tiktok_item_id"]
        identity = {"identity_type": row["identity_type"], "identity_id": row["identity_id"]}
        creative = factory.creative(**PULL, **identity, tiktok_item_id=post)
        factory.post("ad/create", adgroup_id=group, creatives=[creative])
        with withdrawn(api, post):
            response = api.get("identity/video/info", **identity_params(row), item_id=post)
            assert response["code"] == (0 if source == "pull" else 40002)
            code, message = factory.refused("ad/create", adgroup_id=group, creatives=[creative])
        assert (code, "tiktok_item_id: The post is not authorized" in message) == (40002, True)


def test_identities_by_type(api: Api, accounts: list[str]) -> None:
    """Identities of every type follow the contract; for BC_AUTH_TT page_info is all zeros, as in the example."""
    by_type = {
        kind: api.get("identity/get", advertiser_id=accounts[0], identity_type=kind)
        for kind in ("CUSTOMIZED_USER", "AUTH_CODE", "TT_USER", "BC_AUTH_TT")
    }
    assert [violations("identity/get", one) for one in by_type.values()] == [[]] * 4
    assert [len(one["data"]["identity_list"]) for one in by_type.values()] == [1, 1, 3, 1]
    assert set(by_type["BC_AUTH_TT"]["data"]["page_info"].values()) == {0}
    assert by_type["BC_AUTH_TT"]["data"]["identity_list"][0]["identity_authorized_bc_id"] == OWNER_BC_ID
    assert by_type["TT_USER"]["data"]["page_info"]["page_size"] == 20
    assert [one["is_gpppa"] for one in by_type["TT_USER"]["data"]["identity_list"]] == [False, False, True]


def test_political_identity_is_refused(factory: EntityFactory) -> None:
    """An identity of a political account is refused in ads."""
    political = str(int(factory.account) + 6)
    code, message = factory.refused(
        "ad/create", adgroup_id=factory.old_ad_group(), creatives=[factory.creative(identity_id=political)]
    )
    assert (code, "cannot be used to create Spark Ads" in message) == (40002, True)
