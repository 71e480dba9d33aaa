"""The writes this project makes: an ad group, an ad; and how each is found again by its marker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiktok_assets.api.client import Client, RequestStats
from tiktok_assets.api.errors import ContractError, UnknownOutcomeError
from tiktok_assets.api.paged_query import PagedQuery, Row
from tiktok_assets.api.pagination import Fetcher
from tiktok_assets.api.retry import encode_body
from tiktok_assets.spec.endpoints import AD_GROUP_QUOTA, Endpoint
from tiktok_assets.spec.entities import Entity

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreatedObject:
    """An object that exists: its id, and the id of the request that made it ("" where it was found)."""

    object_id: str
    request_id: str = ""


def create_object(
    client: Client,
    endpoint: Endpoint,
    body: Body,
    id_of: Callable[[Mapping[str, Any]], object],
    just_before: Callable[[], None],
) -> CreatedObject:
    """Create one object.

    Args:
        client: what sends.
        endpoint: of `spec.endpoints.WRITES`.
        body: the request.
        id_of: the object's id in the answer's data.
        just_before: called when the request may leave; what it raises keeps it back.

    Raises:
        UnknownOutcomeError: if it may have been made; an answer without its id is one, for we cannot name it.
        TikTokError: if it was not made.
    """
    answer = client.post(endpoint, body, RequestStats(), just_before=just_before)
    try:
        told = id_of(answer.data)
    except (KeyError, IndexError, TypeError, ValueError):
        told = None
    if not told:
        raise UnknownOutcomeError(
            "the answer names no object", endpoint=endpoint.path, request_id=answer.request_id
        )
    return CreatedObject(str(told), answer.request_id)


def list_objects(
    fetcher: Fetcher, entity: Entity, advertiser_id: str, filters: Mapping[str, list[str]]
) -> list[Row]:
    """Every object of an entity that the filters leave, deleted ones included, as the API shows them.

    Raises:
        TikTokError: if they cannot be read whole.
    """
    listing: PagedQuery[list[Row]] = PagedQuery(
        entity.endpoint,
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters}},
        identify=lambda row: str(row[entity.key]),
        parse=lambda rows, _: rows,
    )
    return [row for page in fetcher.fetch(listing).pages for row in page]


def find_ids_by_marker(rows: list[Row], key: str, name: str, marker: str) -> list[str]:
    """The ids of the objects whose name ends with a marker, the oldest first."""
    found = [str(row[key]) for row in rows if str(row.get(name) or "").endswith(marker)]
    return sorted(found, key=lambda one: (len(one), one))


def read_ad_group_quota(client: Client, advertiser_id: str) -> tuple[int, int]:
    """How many ad groups of an account are active, and how many may be (dossier 5.7).

    Raises:
        TikTokError: if it cannot be read.
    """
    answer = client.get(AD_GROUP_QUOTA, {"advertiser_id": advertiser_id}, RequestStats())
    used, total = answer.data.get("used_adgroup_quota"), answer.data.get("total_adgroup_quota")
    if not isinstance(used, int) or not isinstance(total, int):
        raise ContractError("the quota is no count", endpoint=AD_GROUP_QUOTA.path, request_id=answer.request_id)
    return used, total


def format_request(client: Client, endpoint: Endpoint, body: Body) -> str:
    """A write as it would be sent, for a person: method, address and body, without the token."""
    return f"POST {client.address(endpoint)}\n{encode_body(body).decode()}"
