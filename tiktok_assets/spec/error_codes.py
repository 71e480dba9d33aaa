"""Every error code of the API that we know of, and what the caller does next."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Consequence = Literal[
    "retry", "throttled", "credentials", "banned", "request", "not_offered", "advertiser", "too_large", "timeout"
]
"""What an error code asks of the caller.

retry        the same call may work in a moment
throttled    the app, or one account at one path, is over its limit: wait longer
credentials  the token or the app must be mended by a person
banned       nothing is answered at this address; a person must ask from another
request      the call itself is wrong and will stay wrong
not_offered  this host has no such endpoint: do without it where something else tells the same
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


# Names: constants of TikTok's Python SDK; consequences: tiktok_api.md section 3.2, and for 40016, 40101, 40115,
# 40700, 41000 TikTok's page of return codes as GitHub api-evangelist/tiktok-ads has it (errors/, 2026-08-13).
_KNOWN_CODES: tuple[ErrorCode, ...] = (
    ErrorCode(40000, "INVALID_PARAMS", "request"),
    # 40001 means: account not granted, scope missing, account deleted, or app and token differ.
    # Each of them concerns one account or is told apart by `doctor`; the others are read on.
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
    "retry": "asks again, a few times, with growing pauses",
    "throttled": "waits, every process of the app with it; gives up with the time to come back",
    "credentials": "stops, and says what is wrong with the token or the app",
    "banned": "stops, and says that it is the country of this machine's address",
    "request": "gives up on this question; the rest of the refresh goes on",
    "not_offered": "takes time zone and currency from the settings and says so once; what only that endpoint has"
    " is not stored",
    "advertiser": "gives up on this account; the other accounts are read",
    "too_large": "asks for half the days, and no more than that for the rest of the run",
    "timeout": "asks a list again; a report shrinks first, and is never sent a third time within ten minutes",
}
"""What this program does by itself, by consequence."""

ERROR_CODE_NOTES: Mapping[int, str] = {
    40001: "The account is not granted or gone, the token lacks a scope, or app and token differ; `doctor` tells.",
    40002: "The message names the parameter. A metric TikTok no longer serves is left out, with a warning, and its"
    " column is null.",
    40013: "TikTok's own sandbox has one account of its own; name that one in TIKTOK_ADVERTISER_IDS.",
    40009: "TikTok's own sandbox lacks it: set TIKTOK_ADVERTISER_IDS, TIKTOK_ACCOUNT_TIMEZONE and"
    " TIKTOK_ACCOUNT_CURRENCY, and the rest is read.",
    40016: "The app asks this endpoint too often: whoever asks it waits, for any account; other endpoints go on."
    " On TikTok's own sandbox set TIKTOK_PATH_QPM=30. A report that timed out thrice is refused with it, too.",
    40067: "A day that is too large is a case for fewer metrics in TIKTOK_METRICS.",
    40100: "More requests than the app's tier allows. Other programs of the same app count too: lower TIKTOK_QPS."
    " Where it is the quota of the day, nothing is sent until 00:00 UTC, when it is refilled.",
    40101: "App id and secret differ, or the code of the redirected address is wrong or used up.",
    40102: "Make a new token with `tiktok-assets auth`.",
    40104: "TIKTOK_ACCESS_TOKEN is empty.",
    40105: "The token was revoked or is of another host; make a new one with `tiktok-assets auth`.",
    40110: "The code of the redirected address works once and for an hour: run `tiktok-assets auth` again.",
    40115: "The code of the redirected address is wrong or too old: run `tiktok-assets auth` again.",
    40118: "TikTok opens this only to apps on its list; its support decides.",
    40130: "Add the scope to the app, then authorise again with `tiktok-assets auth`.",
    40131: "Authorise again with `tiktok-assets auth`, and leave every permission ticked.",
    40133: "One account at one path is asked too often; only that one waits.",
    40700: "TikTok's own check of the request failed: mend the request; of a write, nothing was made.",
    41000: "TikTok answers no address of this country: run it where TikTok's API is open.",
    41002: "Take the field TikTok names out of TIKTOK_METRICS.",
    50002: "Fewer days or metrics at a time pass sooner.",
    60001: "TikTok is being maintained.",
}
"""What else there is to know of a code, and to do about it."""

NOT_SUPPORTED_IN_SANDBOX = 40009
"""TikTok's own sandbox says so of what only its production host has; elsewhere it would be a fault."""

DAILY_QUOTA_PATTERN = re.compile(
    r"\bqpd\b|\bdaily\b|\b(?:per|a|of the|for the|each) day\b|\btoday\b", re.IGNORECASE
)
"""How the text of a throttling code tells the quota of the day, for which there is no code (tiktok_api.md 4.1)."""

ADVERTISER_PATH_THROTTLING_CODES = frozenset({40133})
"""Throttling that concerns one account at one path."""

PATH_THROTTLING_CODES = frozenset({40016})
"""Throttling that concerns one path, whichever account it is asked for; all other throttling concerns the app."""

ERROR_CODES = {row.code: row for row in _KNOWN_CODES}

_CODE_RANGES: tuple[tuple[range, Consequence], ...] = (
    (range(40900, 40917), "request"),  # signature and media errors that will not mend themselves
    (range(51000, 54000), "retry"),  # named back-end failures: database, object store, (de)serialisation
)


def get_error_code(code: int) -> ErrorCode:
    """The row of a code; a code nobody listed is treated as a wrong request, so that it is never repeated.

    >>> error_code(40105).consequence, error_code(52003).consequence, error_code(49999).consequence
    ('credentials', 'retry', 'request')
    """
    if row := ERROR_CODES.get(code):
        return row
    for family, consequence in _CODE_RANGES:
        if code in family:
            return ErrorCode(code, "UNLISTED", consequence)
    return ErrorCode(code, "UNLISTED", "request")
