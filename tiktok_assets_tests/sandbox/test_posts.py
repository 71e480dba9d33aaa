"""Laws of identities and posts: who can be an ad's sender, and which posts are there and until when."""

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


def shown(api: Api, account: str, presence: str) -> tuple[Ad, dict[str, Any]]:
    """An ad that was built to be shown in one way, and what `ad/get` tells of it."""
    ads = api.sandbox.world.advertisers[account].ads
    ad = next(one for one in ads if ad_source(one) == presence and not one.deleted and not one.in_review)
    (row,) = api.get("ad/get", advertiser_id=account, filtering={"ad_ids": [ad.id]})["data"]["list"]
    return ad, row


def asked(row: dict[str, Any]) -> dict[str, Any]:
    """What identity/video/info is asked about the post of an ad."""
    return {
        "advertiser_id": row["advertiser_id"],
        "identity_type": row["identity_type"],
        "identity_id": row["identity_id"],
    }


@contextmanager
def withdrawn(api: Api, post: str) -> Iterator[None]:
    """A post that its owner took back an hour ago."""
    gone = api.sandbox.world.withdrawn_posts
    gone[post] = api.sandbox.state.now - 3600
    try:
        yield
    finally:
        del gone[post]


@pytest.mark.parametrize("presence", ["pull", "push"])
def test_a_post_is_its_identitys(drafts: EntityFactory, presence: str) -> None:
    """Both ways to ask keep the contract; another identity, another kind and an unknown post have nothing."""
    api = drafts.api
    _, row = shown(api, drafts.account, presence)
    post = row["tiktok_item_id"]
    one = api.get("identity/video/info", **asked(row), item_id=post)
    several = api.get("identity/video/info", **asked(row), item_ids=[post, "12"])
    assert violations("identity/video/info", one) == violations("identity/video/info", several) == []
    assert several["data"]["video_details"] == [one["data"]["video_detail"]]
    assert (one["data"]["video_detail"]["auth_info"] is None) == (presence == "push")
    for other in ({"identity_id": "4711"}, {"item_type": "CAROUSEL"}, {"item_id": "12"}):
        answer = api.get("identity/video/info", **{**asked(row), "item_id": post, **other})
        assert (answer["code"], "not associated" in answer["message"]) == (40002, True)


def test_a_post_that_was_withdrawn_makes_no_ad(drafts: EntityFactory) -> None:
    """A creator's post is still told of, with the end of its authorisation; an own one is not there any more."""
    api = drafts.api
    group = drafts.old_ad_group()
    for presence in ("pull", "push"):
        _, row = shown(api, drafts.account, presence)
        post = row["tiktok_item_id"]
        identity = {"identity_type": row["identity_type"], "identity_id": row["identity_id"]}
        creative = drafts.creative(**PULL, **identity, tiktok_item_id=post)
        drafts.post("ad/create", adgroup_id=group, creatives=[creative])
        with withdrawn(api, post):
            answer = api.get("identity/video/info", **asked(row), item_id=post)
            assert answer["code"] == (0 if presence == "pull" else 40002)
            code, message = drafts.refused("ad/create", adgroup_id=group, creatives=[creative])
        assert (code, "tiktok_item_id: The post is not authorized" in message) == (40002, True)


def test_identities_are_listed_by_kind(api: Api, accounts: list[str]) -> None:
    """Each kind keeps the contract; those of a business centre have zeros as page_info, as in the example."""
    kinds = {
        kind: api.get("identity/get", advertiser_id=accounts[0], identity_type=kind)
        for kind in ("CUSTOMIZED_USER", "AUTH_CODE", "TT_USER", "BC_AUTH_TT")
    }
    assert [violations("identity/get", one) for one in kinds.values()] == [[]] * 4
    assert [len(one["data"]["identity_list"]) for one in kinds.values()] == [1, 1, 3, 1]
    assert set(kinds["BC_AUTH_TT"]["data"]["page_info"].values()) == {0}
    assert kinds["BC_AUTH_TT"]["data"]["identity_list"][0]["identity_authorized_bc_id"] == OWNER_BC_ID
    assert kinds["TT_USER"]["data"]["page_info"]["page_size"] == 20
    assert [one["is_gpppa"] for one in kinds["TT_USER"]["data"]["identity_list"]] == [False, False, True]


def test_a_political_account_makes_no_spark_ad(drafts: EntityFactory) -> None:
    """Such an identity is refused."""
    political = str(int(drafts.account) + 6)
    code, message = drafts.refused(
        "ad/create", adgroup_id=drafts.old_ad_group(), creatives=[drafts.creative(identity_id=political)]
    )
    assert (code, "cannot be used to create Spark Ads" in message) == (40002, True)
