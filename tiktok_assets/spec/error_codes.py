"""Every error code of the API that we know of, and what the caller does next."""

from dataclasses import dataclass
from typing import Literal

Consequence = Literal["retry", "throttled", "credentials", "request", "advertiser", "too_large", "timeout"]
"""What an error code asks of the caller.

retry        the same call may work in a moment
throttled    the app, or one account at one path, is over its limit: wait longer
credentials  the token or the app must be mended by a person
request      the call itself is wrong and will stay wrong
advertiser   this account cannot be read; the others can
too_large    ask for less at a time
timeout      a list may be asked again; a report must shrink first, since TikTok punishes repeats (4.3)
"""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code: the name TikTok's SDK gives it and its consequence."""

    code: int
    name: str
    consequence: Consequence


# Names: constants of TikTok's Python SDK; consequences: tiktok_api.md section 3.2.
_ROWS: tuple[ErrorCode, ...] = (
    ErrorCode(40000, "INVALID_PARAMS", "request"),
    # 40001 means: account not granted, scope missing, account deleted, or app and token differ.
    # Each of them concerns one account or is told apart by `doctor`; the others are read on.
    ErrorCode(40001, "PERMISSION_ERROR", "advertiser"),
    ErrorCode(40002, "PARAM_ERROR", "request"),
    ErrorCode(40003, "FORBIDDEN", "request"),
    ErrorCode(40006, "VERSION_ERROR", "request"),
    ErrorCode(40007, "NOT_EXIST", "request"),
    ErrorCode(40008, "NOT_IMPLEMENTED", "request"),
    ErrorCode(40009, "NOT_SUPPORTED_IN_SANDBOX", "request"),
    ErrorCode(40010, "UNSUPPORTED_DOMAIN", "request"),
    ErrorCode(40011, "ID_LIST_TOO_LONG", "request"),
    ErrorCode(40012, "NOTHING_TO_UPDATE", "request"),
    ErrorCode(40013, "SANDBOX_ADVERTISER_MISSING", "advertiser"),
    ErrorCode(40014, "INVALID_CLUSTER", "request"),
    ErrorCode(40016, "BUSINESS_FREQUENCY_CONTROL", "throttled"),
    ErrorCode(40050, "DUPLICATED_REQUEST", "request"),
    ErrorCode(40051, "INVALID_API_VERSION", "request"),
    ErrorCode(40052, "MATERIAL_EXISTS", "request"),
    ErrorCode(40053, "BAD_VIDEO_ID", "request"),
    ErrorCode(40061, "INVALID_BATCH_SIZE", "request"),
    ErrorCode(40067, "QUERY_TOO_LARGE", "too_large"),
    ErrorCode(40100, "TOO_MANY_REQUESTS", "throttled"),
    ErrorCode(40101, "INVALID_PARTNER", "credentials"),
    ErrorCode(40102, "ACCESS_TOKEN_EXPIRED", "credentials"),
    ErrorCode(40103, "REFRESH_TOKEN_EXPIRED", "credentials"),
    ErrorCode(40104, "ACCESS_TOKEN_EMPTY", "credentials"),
    ErrorCode(40105, "ACCESS_TOKEN_INVALID", "credentials"),
    ErrorCode(40106, "INVALID_CORE_USER", "credentials"),
    ErrorCode(40107, "INVALID_REFRESH_TOKEN", "credentials"),
    ErrorCode(40108, "INVALID_GRANT_TYPE", "credentials"),
    ErrorCode(40110, "AUTH_CODE_ERROR", "credentials"),
    ErrorCode(40113, "APP_FORBIDDEN", "credentials"),
    ErrorCode(40114, "ADVERTISER_LOGGED_OUT", "advertiser"),
    ErrorCode(40117, "METHOD_FORBIDDEN", "request"),
    ErrorCode(40118, "NOT_IN_ALLOWLIST", "request"),
    ErrorCode(40119, "IDENTITY_DIFFERS", "credentials"),
    ErrorCode(40124, "DEVELOPER_REJECTED", "credentials"),
    ErrorCode(40125, "DEVELOPER_WITHOUT_PERMISSION", "credentials"),
    ErrorCode(40130, "SCOPE_NOT_AUTHORISED", "credentials"),
    ErrorCode(40131, "SCOPE_NOT_AUTHORISED_BY_USER", "credentials"),
    ErrorCode(40132, "FREQUENCY_LIMITED", "throttled"),
    ErrorCode(40133, "ADVERTISER_PATH_LIMITED", "throttled"),
    ErrorCode(40200, "TASK_ERROR", "retry"),
    ErrorCode(40201, "TASK_NOT_READY", "retry"),
    ErrorCode(40202, "WRITE_CONFLICT", "retry"),
    ErrorCode(40300, "ADVERTISER_MISSING", "advertiser"),
    ErrorCode(40301, "ADVERTISER_ROLE_WRONG", "advertiser"),
    ErrorCode(40302, "CUSTOMER_ADVERTISER_MISSING", "advertiser"),
    ErrorCode(40400, "ROUTE_NOT_FOUND", "request"),
    ErrorCode(40502, "TOO_MANY_ADS", "request"),
    ErrorCode(40700, "RPC_VALIDATION_ERROR", "retry"),
    ErrorCode(40901, "MEDIA_TRANSCODING", "retry"),
    ErrorCode(40902, "MEDIA_FETCH", "retry"),
    ErrorCode(40913, "MEDIA_NOT_READY", "retry"),
    ErrorCode(41000, "BLOCKED", "request"),
    ErrorCode(41001, "INTERFACE_OFFLINE", "request"),
    ErrorCode(41002, "FIELDS_OFFLINE", "request"),
    ErrorCode(50000, "SYSTEM_ERROR", "retry"),
    ErrorCode(50002, "SYSTEM_TIMEOUT", "timeout"),
    ErrorCode(51000, "RPC_TIMEOUT", "retry"),
    ErrorCode(51001, "STATISTICS_TIMEOUT", "timeout"),
    ErrorCode(51010, "INTERNAL_TIMEOUT", "timeout"),
    ErrorCode(51037, "ASYNC_TASK_ERROR", "retry"),
    ErrorCode(51099, "STATISTICS_ERROR", "retry"),
    ErrorCode(60001, "MAINTENANCE", "retry"),
    ErrorCode(61000, "TOO_MANY_REQUESTS_OF_BUSINESS_LINE", "throttled"),
    ErrorCode(70001, "INVALID_BUSINESS_AUTH_TYPE", "credentials"),
)

QUERY_TOO_LARGE = 40067
"""Too large by TikTok's own count, not by a time-out."""

OF_ONE_ADVERTISER_AND_PATH = frozenset({40016, 40133})
"""Throttling that concerns one account at one path; all other throttling concerns the whole app."""

ERROR_CODES = {row.code: row for row in _ROWS}

_FAMILIES: tuple[tuple[range, Consequence], ...] = (
    (range(40900, 40917), "request"),  # signature and media errors that will not mend themselves
    (range(51000, 54000), "retry"),  # named back-end failures: database, object store, (de)serialisation
)


def error_code(code: int) -> ErrorCode:
    """The row of a code; a code nobody listed is treated as a wrong request, so that it is never repeated.

    >>> error_code(40105).consequence, error_code(52003).consequence, error_code(49999).consequence
    ('credentials', 'retry', 'request')
    """
    if row := ERROR_CODES.get(code):
        return row
    for family, consequence in _FAMILIES:
        if code in family:
            return ErrorCode(code, "UNLISTED", consequence)
    return ErrorCode(code, "UNLISTED", "request")
