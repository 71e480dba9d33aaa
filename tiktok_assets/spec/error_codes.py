"""The known error codes of the API, and how this program handles each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Consequence = Literal[
    "retry", "throttled", "credentials", "banned", "request", "not_offered", "advertiser", "too_large", "timeout"
]
"""How the caller handles an error code.

retry        retry the same request after a short wait
throttled    the app, or one account at one path, exceeds its rate limit: wait longer
credentials  a person must fix the token or the app
banned       the API rejects all requests from this IP address; a person must run the program elsewhere
request      the request is invalid; a retry cannot succeed
not_offered  this host does not have the endpoint: use another source of the same data, if there is one
advertiser   this account cannot be read; other accounts can
too_large    request less data at a time
timeout      a list can be retried; a report must become smaller first, since TikTok blocks repeats (API notes 4.3)
"""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error code with its name in TikTok's SDK and its consequence."""

    code: int
    name: str
    consequence: Consequence


# Names: constants of TikTok's Python SDK. Consequences: API notes 3.2, and for 40016, 40101, 40115, 40700 and
# 41000 TikTok's page of return codes, in GitHub api-evangelist/tiktok-ads (errors/, 2026-08-13).
_KNOWN_CODES: tuple[ErrorCode, ...] = (
    ErrorCode(40000, "INVALID_PARAMS", "request"),
    # 40001 means: account not granted, scope missing, account deleted, or token of another app. Each of these
    # concerns one account, or is identified by `doctor`; the other accounts are still read.
    ErrorCode(40001, "PERMISSION_ERROR", "advertiser"),
    ErrorCode(40002, "PARAM_ERROR", "request"),
    ErrorCode(40003, "FORBIDDEN", "request"),
    ErrorCode(40006, "VERSION_ERROR", "request"),
    ErrorCode(40007, "NOT_EXIST", "request"),
    ErrorCode(40008, "NOT_IMPLEMENTED", "not_offered"),
    ErrorCode(40009, "NOT_SUPPORTED_IN_SANDBOX", "not_offered"),
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
    ErrorCode(40115, "AUTH_TIMESTAMP_EXPIRED", "credentials"),
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
    ErrorCode(40400, "ROUTE_NOT_FOUND", "not_offered"),
    ErrorCode(40502, "TOO_MANY_ADS", "request"),
    ErrorCode(40700, "RPC_VALIDATION_ERROR", "request"),
    ErrorCode(40901, "MEDIA_TRANSCODING", "retry"),
    ErrorCode(40902, "MEDIA_FETCH", "retry"),
    ErrorCode(40913, "MEDIA_NOT_READY", "retry"),
    ErrorCode(41000, "BLOCKED", "banned"),
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

CONSEQUENCE_HANDLING: Mapping[Consequence, str] = {
    "retry": "retries a few times, with exponential backoff",
    "throttled": "waits, as do all processes of the app; if the wait is too long, fails with the time of the next"
    " attempt",
    "credentials": "stops, and reports what is wrong with the token or the app",
    "banned": "stops, and reports that the country of this machine's IP address is blocked",
    "request": "fails this request; the rest of the refresh continues",
    "not_offered": "reads time zone and currency from the settings, with one warning; data that only this"
    " endpoint has is not stored",
    "advertiser": "fails this account; the other accounts are read",
    "too_large": "requests half the days, and no more than that for the rest of the run",
    "timeout": "retries a list; halves a report first, and never sends it a third time within ten minutes",
}
"""What this program does without a person, by consequence."""

ERROR_CODE_NOTES: Mapping[int, str] = {
    40001: "The account is not granted or was deleted, the token lacks a scope, or it belongs to another app; run"
    " `doctor` to find out which.",
    40002: "The message names the parameter. A metric that TikTok no longer serves is left out with a warning, and"
    " its column is null.",
    40013: "TikTok's own sandbox has only one account; set it in TIKTOK_ADVERTISER_IDS.",
    40009: "TikTok's own sandbox does not have it: set TIKTOK_ADVERTISER_IDS, TIKTOK_ACCOUNT_TIMEZONE and"
    " TIKTOK_ACCOUNT_CURRENCY to read the rest.",
    40016: "The app sends too many requests to this endpoint: requests to it wait, for all accounts; other"
    " endpoints continue. On TikTok's own sandbox set TIKTOK_PATH_QPM=30. TikTok also returns it for a report"
    " that timed out three times.",
    40067: "If a single day is too large, select fewer metrics in TIKTOK_METRICS.",
    40100: "More requests than the app's tier allows. Other programs of the same app count too: lower TIKTOK_QPS."
    " If it is the daily quota, nothing is sent until 00:00 UTC, when the quota is reset.",
    40101: "App id and secret do not match, or the code of the redirect URL is wrong or was used before.",
    40102: "Create a new token with `tiktok-assets auth`.",
    40104: "TIKTOK_ACCESS_TOKEN is empty.",
    40105: "The token was revoked or belongs to another host; create a new one with `tiktok-assets auth`.",
    40110: "The code of the redirect URL is valid once and for an hour: run `tiktok-assets auth` again.",
    40115: "The code of the redirect URL is wrong or expired: run `tiktok-assets auth` again.",
    40118: "TikTok allows this only for apps on its allowlist; contact TikTok's support.",
    40130: "Add the scope to the app, then authorise again with `tiktok-assets auth`.",
    40131: "Authorise again with `tiktok-assets auth`, and leave every permission ticked.",
    40133: "Too many requests for one account at one path; only these wait.",
    40700: "TikTok's validation of the request failed: fix the request; a write created nothing.",
    41000: "TikTok rejects IP addresses of this country: run the program where TikTok's API is available.",
    41002: "Remove the field in TikTok's message from TIKTOK_METRICS.",
    50002: "Request fewer days or metrics at a time.",
    60001: "TikTok's API is under maintenance.",
}
"""Further causes and fixes of single codes."""

NOT_SUPPORTED_IN_SANDBOX = 40009
"""Returned by TikTok's own sandbox for endpoints that only the production host has; elsewhere an error."""

DAILY_QUOTA_PATTERN = re.compile(
    r"\bqpd\b|\bdaily\b|\b(?:per|a|of the|for the|each) day\b|\btoday\b", re.IGNORECASE
)
"""Matches the message of a throttling code that means the daily quota, which has no own code (API notes 4.1)."""

ADVERTISER_PATH_THROTTLING_CODES = frozenset({40133})
"""Throttling codes that apply to one account at one path."""

PATH_THROTTLING_CODES = frozenset({40016})
"""Throttling codes that apply to one path for all accounts; all other throttling codes apply to the app."""

ERROR_CODES = {row.code: row for row in _KNOWN_CODES}

_CODE_RANGES: tuple[tuple[range, Consequence], ...] = (
    (range(40900, 40917), "request"),  # signature and media errors, which a retry cannot fix
    (range(51000, 54000), "retry"),  # back-end failures: database, object store, serialization
)


def get_error_code(code: int) -> ErrorCode:
    """Return an error code with its consequence; an unlisted code counts as an invalid request, without retries.

    >>> [get_error_code(code).consequence for code in (40105, 52003, 49999)]
    ['credentials', 'retry', 'request']
    """
    if row := ERROR_CODES.get(code):
        return row
    for family, consequence in _CODE_RANGES:
        if code in family:
            return ErrorCode(code, "UNLISTED", consequence)
    return ErrorCode(code, "UNLISTED", "request")
