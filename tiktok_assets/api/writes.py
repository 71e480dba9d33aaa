"""Create ad groups and ads, and find created objects again by the marker in their name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import ContractError, RequestError, UnknownOutcomeError
from tiktok_assets.api.paged_query import PagedQuery, Row
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import encode_body
from tiktok_assets.spec import AD_GROUP_QUOTA, CreatableObject, Endpoint

Body = Mapping[str, Any]
DELETE, DISABLE = "DELETE", "DISABLE"


class Listed(Protocol):
    """What is needed to list objects: an entity, or an object that a duplication creates."""

    @property
    def endpoint(self) -> Endpoint:
        """Lists them."""

    @property
    def key(self) -> str:
        """The field of the id."""

    @property
    def page_size(self) -> int:
        """How many rows a page can have."""


@dataclass(frozen=True, slots=True)
class CreatedObject:
    """An object that exists on TikTok.

    Attributes:
        object_id: its id.
        request_id: TikTok's id of the request that created it; "" if the object was found instead.
        content: the data of the response.
    """

    object_id: str
    request_id: str = ""
    content: Body = field(default_factory=dict)


def create_object(
    client: Client,
    endpoint: Endpoint,
    body: Body,
    read_id: Callable[[Mapping[str, Any]], object],
    before_send: Callable[[], None],
) -> CreatedObject:
    """Create one object.

    Args:
        client: the client that sends the request.
        endpoint: an endpoint of `spec.endpoints.CREATES`.
        body: the request body.
        read_id: returns the object's id from the data of the response.
        before_send: called just before the request is sent; an exception from it prevents the request.

    Raises:
        UnknownOutcomeError: if the object may have been created, or the response does not have its id.
        TikTokError: if it was not created.
    """
    response = client.post(endpoint, body, RequestStats(), before_send=before_send)
    try:
        object_id = read_id(response.data)
    except (KeyError, IndexError, TypeError, ValueError):
        object_id = None
    if not object_id:
        raise UnknownOutcomeError(
            "the response does not have the id of the new object",
            endpoint=endpoint.path,
            request_id=response.request_id,
        )
    return CreatedObject(str(object_id), response.request_id, response.data)


def list_objects(
    fetcher: Fetcher, listed: Listed, advertiser_id: str, filters: Mapping[str, list[str]]
) -> list[Row]:
    """Return all objects of a list that match the filters, deleted ones included, as rows of the API.

    Raises:
        TikTokError: if they cannot be read completely.
    """
    query: PagedQuery[list[Row]] = PagedQuery(
        listed.endpoint,
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters}},
        row_key=lambda row: str(row[listed.key]),
        parse=lambda rows, _: rows,
        page_size=listed.page_size,
    )
    return [row for page in fetcher.fetch(query).pages for row in page]


def find_ids_by_marker(rows: list[Row], key: str, name: str, marker: str) -> list[str]:
    """Return the ids of the objects whose name ends with a marker, the oldest first.

    Args:
        rows: objects as rows of the API.
        key: the field with the id.
        name: the field with the name.
        marker: the end of the name.
    """
    ids = [str(row[key]) for row in rows if str(row.get(name) or "").endswith(marker)]
    return sorted(ids, key=lambda object_id: (len(object_id), object_id))


def read_ad_group_quota(client: Client, advertiser_id: str) -> tuple[int, int]:
    """Return how many ad groups of an account are active, and how many may be (API notes 5.7).

    Raises:
        TikTokError: if the quota cannot be read.
    """
    response = client.get(AD_GROUP_QUOTA, {"advertiser_id": advertiser_id}, RequestStats())
    used, total = response.data.get("used_adgroup_quota"), response.data.get("total_adgroup_quota")
    if not isinstance(used, int) or not isinstance(total, int):
        raise ContractError(
            "the ad group quota is not a number", endpoint=AD_GROUP_QUOTA.path, request_id=response.request_id
        )
    return used, total


def format_request(client: Client, endpoint: Endpoint, body: Body) -> str:
    """Format a write for display: method, URL and body, without the token."""
    return f"POST {client.build_url(endpoint)}\n{encode_body(body).decode()}"


def update_status(
    client: Client,
    kind: CreatableObject,
    advertiser_id: str,
    object_id: str,
    status: str,
) -> None:
    """Switch an object off or delete it; TikTok refuses any status for one that is deleted.

    Args:
        client: the client that sends the request.
        kind: of the object.
        advertiser_id: the account.
        object_id: its id.
        status: `DISABLE` or `DELETE`.

    Raises:
        UnknownOutcomeError: if it may or may not have been done.
        TikTokError: if it was refused.
    """
    body = {"advertiser_id": advertiser_id, f"{kind.key}s": [object_id], "operation_status": status}
    response = client.post(kind.status, body, RequestStats())
    # An Upgraded Smart+ ad group that fails is in `error_list` of a response with code 0.
    if errors := response.data.get("error_list"):
        reasons = "; ".join(str(one.get("error_message")) for one in errors if isinstance(one, dict))
        raise RequestError(reasons, endpoint=kind.status.path, request_id=response.request_id)
