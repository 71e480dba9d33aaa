"""Read the lifetime spend of a few objects."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from tiktok_assets.api.client import Client, Parameter, RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.errors import ContractError
from tiktok_assets.spec import MAX_PAGE_SIZE, REPORT, CreatableObject


def read_lifetime_spend(
    client: Client, kind: CreatableObject, advertiser_id: str, filters: Mapping[str, list[str]]
) -> dict[str, Decimal]:
    """Return the lifetime spend by id, as the report has it now; an object without a row has none.

    Args:
        client: the client that sends the request.
        kind: of the objects.
        advertiser_id: the account.
        filters: id filters of the report that match at most a page of objects, such as `adgroup_ids`.

    Raises:
        TikTokError: if it cannot be read.
    """
    status = "ad_status" if kind.report_level == "AUCTION_AD" else "adgroup_status"
    parameters: dict[str, Parameter] = {
        "advertiser_id": advertiser_id,
        "report_type": "BASIC",
        "data_level": kind.report_level,
        "dimensions": [kind.report_dimension],
        "metrics": ["spend"],
        "query_lifetime": "true",
        "page": "1",
        "page_size": str(MAX_PAGE_SIZE),
        # Without the status filter TikTok omits deleted objects and their spend (API notes 6.4).
        "filtering": [
            {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(values)}
            for name, values in {status: ["STATUS_ALL"], **filters}.items()
        ],
    }
    response = client.get(REPORT, parameters, RequestStats())
    try:
        rows = decode_rows(response.data["list"])
        return {
            str(row["dimensions"][kind.report_dimension]): Decimal(str(row["metrics"]["spend"]))
            for row in rows  # type: ignore[attr-defined]  # a TypeError is caught
        }
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise ContractError(
            "the spend cannot be read", endpoint=REPORT.path, request_id=response.request_id
        ) from error
