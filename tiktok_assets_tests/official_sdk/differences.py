"""What TikTok's SDK and OpenAPI documents do not know or contradict, and why; the tests expect exactly this."""

from collections.abc import Mapping

NOT_IN_THE_SDK: Mapping[str, str] = {
    "adgroup/budget/update": "the SDK changes a budget by adgroup/update",
    "file/video/suggestcover": "the SDK has uploads, searches and details of videos only",
    "oauth/token": "the SDK exchanges codes by oauth2/access_token",
    "oauth2/revoke_token": "the SDK has no operation that ends a token",
    "user/info": "the SDK has no operation about the user",
}
"""Operations of the client or the sandbox that the SDK does not have."""

REQUESTS: Mapping[str, Mapping[str, str]] = {
    "identity/video/info": {
        "item_type is unknown": "newer than the SDK; documented in get_info_about_tiktok_posts",
    },
}
"""Objections of the SDK or OpenAPI to the client's requests, by operation, with the reason to send them anyway."""

FULL_PAYLOADS: Mapping[str, Mapping[str, str]] = {}
"""Objections of the SDK to a copy that has every documented field of its source."""

RESPONSES: Mapping[str, Mapping[str, str]] = {}
"""Objections to the sandbox's responses, by operation, with the reason to send them anyway."""
