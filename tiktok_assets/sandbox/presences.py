"""Who an ad speaks as, and which post it shows: the identities of an account and the posts of its ads."""

from dataclasses import dataclass

from tiktok_assets.sandbox.world import Ad, Advertiser

CUSTOM = "CUSTOMIZED_USER"
POSTING = ("TT_USER", "BC_AUTH_TT")
OWNER_BC_ID = "7000000000000000009"

# By the hook in an ad's name: creators' posts are pulled, the oldest concepts have a custom identity, the rest was
# pushed from the account of the brand.
_PULLED = ("Unboxing UGC", "Street interview", "Customer review")
_CUSTOM = ("Founder story", "Before and after")


@dataclass(frozen=True)
class Identity:
    """An identity of an account, as identity/get tells it."""

    identity_id: str
    identity_type: str
    bc_id: str | None = None
    can_push: bool = False
    can_pull: bool = False
    status: str = "AVAILABLE"
    is_political: bool = False


def identities_of(advertiser: Advertiser) -> list[Identity]:
    """Return an account's identities: the brand's, a creator's, the business centre's, a custom one, two unusable.

    The page defines the abilities of TT_USER and BC_AUTH_TT alone (get_the_identity_list): a creator's are false.
    """
    first = int(advertiser.id)
    return [
        Identity(str(first + 1), "TT_USER", can_push=True, can_pull=True),
        Identity(str(first + 2), "AUTH_CODE", status=""),
        Identity(str(first + 3), "BC_AUTH_TT", OWNER_BC_ID, can_push=True, can_pull=True),
        Identity(str(first + 4), CUSTOM),
        Identity(str(first + 5), "TT_USER", status="NO_VALID_BIND_ACCOUNT"),
        Identity(str(first + 6), "TT_USER", can_push=True, can_pull=True, is_political=True),
    ]


def presence_of(ad: Ad) -> str:
    """Return how an ad that was built is shown: `pull`, `push` or `custom`."""
    if ad.name.startswith(_PULLED):
        return "pull"
    return "custom" if ad.name.startswith(_CUSTOM) else "push"


def video_of(ad: Ad) -> str:
    """Return the video an ad was built with."""
    return f"v10044g50000c{int(ad.id):020d}"


def post_of(ad: Ad) -> str:
    """Return the id of the post an ad shows: the one it pulls, else the one that was made of it."""
    given = ad.fields.get("tiktok_item_id")
    return str(given) if given else f"7{int(ad.id) % 10**18:018d}"
