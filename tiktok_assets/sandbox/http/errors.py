"""Business errors, and the envelope around every JSON response (API notes 3.1-3.3)."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

TEXTS = {
    40001: "The advertiser does not grant you /{path}/:{method} permission. Advertiser: {advertiser_id}.",
    40006: "no schema found",  # API notes 1.2, with HTTP 403
    40011: "{path}: The number of ids exceeds the limit of {limit}.",
    40012: "There is nothing to update.",
    40016: "Requests made too frequently.",  # api-evangelist/tiktok-ads errors/
    40050: "Duplicated request. Please do not send the same request_id again.",
    40100: "Too many requests. Please retry in some time.",
    40104: "Access token is empty.",
    40105: "Access token is incorrect or has been revoked.",
    40110: "Auth code is invalid, expired or has been used.",
    40133: (
        "Advertiser ({advertiser_id})'s QPS ({seen}) reaches QPS limit {limit} for current path, "
        "request is temporarily restricted."
    ),
    40202: "Optimistic lock: the object is being changed by another request. Please try again.",
    40400: "Route not found.",
}


class ApiError(Exception):
    """An error that becomes the response.

    Attributes:
        code: The business code.
        message: Its text.
        http_status: 200 for almost all errors (API notes 3.1).
    """

    def __init__(self, code: int, message: str, *, http_status: int = 200) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status

    @classmethod
    def from_code(cls, code: int, *, http_status: int = 200, **values: object) -> "ApiError":
        """Return the error of a code with its text from `TEXTS`; `values` fill its placeholders."""
        return cls(code, TEXTS[code].format(**values), http_status=http_status)


# airbytehq/airbyte #80210.
WRONG_APP = "The app_id is inconsistent with the token's app information. Please retry after correcting it."


def bad_parameter(path: str, problem: str) -> ApiError:
    """Return a 40002 whose text starts with the parameter's dotted path (API notes 3.3)."""
    return ApiError(40002, f"{path}: {problem}")


def invalid_metrics(names: list[str]) -> ApiError:
    """Return the 40002 that lists the invalid metrics (API notes 3.3, airbytehq/airbyte #11375)."""
    return ApiError(40002, f"Please remove invalid metric fields and try again. Invalid metric fields: {names!r}.")


def metrics_conflict() -> ApiError:
    """Return the 40002 for dimensions and metrics that cannot be combined; it names none (API notes 3.3)."""
    return ApiError(40002, "Conflict occurs. The input params including metrics and dimensions have no relation.")


REQUEST_ID_OFFSET = timedelta(hours=8)  # request ids contain the time in UTC+8 (API notes 1.5)


class RequestIds:
    """Generates request ids from a seed: 14 digits of time and 20 hexadecimal characters."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"{seed}:request-ids")

    def next(self, now: datetime) -> str:
        """Return the next request id."""
        return f"{now + REQUEST_ID_OFFSET:%Y%m%d%H%M%S}{self._random.getrandbits(80):020X}"


def success_envelope(data: dict[str, Any], request_id: str, *, code: int = 0) -> dict[str, Any]:
    """Return the envelope of a success (code 0) or partial success (20001)."""
    return {"code": code, "message": "OK" if code == 0 else "PARTIAL_OK", "request_id": request_id, "data": data}


def error_envelope(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return the envelope of an error, whose `data` is an empty object (API notes 3.1)."""
    return {"code": error.code, "message": error.message, "request_id": request_id, "data": {}}


def encode(body: dict[str, Any]) -> bytes:
    """Encode a body as JSON."""
    return msgspec.json.encode(body)
