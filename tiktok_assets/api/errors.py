"""Define one exception class for each way in which the API can fail, by what the caller should do next.

TikTokError
├── RetryLaterError        the request is fine; retry it after `retry_after_seconds`
│   ├── ThrottledError     the app is over its rate limit; all its processes wait
│   │   └── DailyQuotaError  the app's daily quota is used up; nothing is sent until 00:00 UTC
│   └── SlowResponseError  a response began but was not complete in time
├── CredentialsError       the token or the app must be fixed by hand
│   ├── NoAccountGrantedError  no ad account is granted to the app; grant one by hand
│   └── BannedError        TikTok serves no requests from the country of this machine's address
├── RequestError           the request is wrong; a retry fails again
│   ├── NotOfferedError    this host has no such endpoint; settings may replace what it returns
│   └── TooLargeError      the same request over fewer days may work
│       └── TimedOutError  TikTok took too long; after two timeouts in ten minutes a report is not sent again
├── AdvertiserError        this account cannot be read; other accounts can
├── UnknownOutcomeError    a write may have been carried out; check before it is sent again
├── ReportTaskError        a report task did not succeed; the same report can be read in pages
└── ContractError          the response breaks the API's contract; none of it is stored
    ├── OversizedError     the response is larger than any valid one
    ├── TruncatedError     the API left rows out; smaller queries may be complete
    ├── MovingPagesError   rows move between pages; a query that fits one page may work
    ├── RepeatedKeyError   several rows of a response have the same key; smaller queries may work
    ├── TooManyRowsError   more rows than the query may have; smaller queries work
    └── UnreadableRowError a row cannot be stored because its key or its spend cannot be read
"""

from math import ceil

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec import Consequence

QUOTA_USED_UP_MESSAGE = "the app's quota of requests for today is used up"


class TikTokError(Exception):
    """Base class of all failures of the API. Its message never holds the token or control characters.

    Attributes:
        code: the API's error code; None if no envelope was read.
        request_id: the API's id of the request, for TikTok's support; "" if there is none.
        endpoint: the endpoint path of the request.
    """

    def __init__(self, message: str, *, endpoint: str = "", code: int | None = None, request_id: str = "") -> None:
        self.endpoint = endpoint
        self.code = code
        self.request_id = request_id
        details = [f"code {code}" if code is not None else "", f"request {request_id}" if request_id else ""]
        suffix = ", ".join(detail for detail in details if detail)
        prefix = f"{endpoint}: " if endpoint else ""
        super().__init__(escape_control_characters(f"{prefix}{message}{f' ({suffix})' if suffix else ''}"))


class RetryLaterError(TikTokError):
    """The same request may work later.

    Attributes:
        retry_after_seconds: how long to wait at least; None leaves the delay to the retry policy.
    """

    retry_after_seconds: float | None = None


class ThrottledError(RetryLaterError):
    """The app sent more requests than its tier allows."""


class DailyQuotaError(ThrottledError):
    """The app's daily quota is used up; TikTok refills it at 00:00 UTC (API notes 4.1)."""


class SlowResponseError(RetryLaterError):
    """The response began but was not complete in time; it is not retried at once."""


class BudgetUnavailableError(RetryLaterError):
    """The request budget that the hosts share cannot be reached, and nothing is sent without it.

    It was waited for already, so a request is not retried at once.
    """


class CredentialsError(TikTokError):
    """The token is missing, wrong, revoked or lacks a permission."""


class NoAccountGrantedError(CredentialsError):
    """No ad account is granted to the app."""


class BannedError(CredentialsError):
    """TikTok serves no requests from the country of this machine's address."""


class RequestError(TikTokError):
    """The request has a wrong parameter, or is about an object that does not exist."""


class NotOfferedError(RequestError):
    """The host does not have the endpoint; TikTok's own sandbox lacks many."""


class TooLargeError(RequestError):
    """The query takes the API too long; fewer days at a time may work."""


class TimedOutError(TooLargeError):
    """A report timed out; TikTok blocks one that does so three times within ten minutes (API notes 4.3).

    Attributes:
        retry_after_seconds: when the same report may be sent again; None if at once.
    """

    retry_after_seconds: float | None = None


class AdvertiserError(TikTokError):
    """The account is not granted to the app, closed or deleted."""


class UnknownOutcomeError(TikTokError):
    """A write was sent, and it is unknown whether it was carried out: no or half a response, or a server error."""


class ReportTaskError(TikTokError):
    """A report task failed, took too long or could not be created, or its file is damaged."""


class ContractError(TikTokError):
    """The response breaks the API's own contract: an impossible shape, type or count."""


class OversizedError(ContractError):
    """The response is larger than any valid one; it was not read to its end."""


class TruncatedError(ContractError):
    """A report was cut to its newest ads; queries for fewer ads may be complete."""


class MovingPagesError(ContractError):
    """Rows move between pages while they are read; a query that fits one page may work.

    Attributes:
        announced_rows: the row count that all pages give; None if they differ.
    """

    announced_rows: int | None = None


class TooManyRowsError(ContractError):
    """A list has more rows than are read at once; queries for fewer of them work.

    Attributes:
        announced_rows: the row count that the first page gives.
    """

    announced_rows: int = 0


class RepeatedKeyError(ContractError):
    """Several rows of one page have the same key and different values."""


class UnreadableRowError(ContractError):
    """A row has no readable key, is of another account or day, or has a spend that cannot be trusted."""


def build_daily_quota_error(
    seconds_until_refill: float, *, endpoint: str = "", response_error: TikTokError | None = None
) -> "DailyQuotaError":
    """Build the error of a used-up daily quota; its message has the time until the refill.

    Args:
        seconds_until_refill: seconds until 00:00 UTC by the host's clock.
        endpoint: the endpoint path of the request.
        response_error: TikTok's rejection; None if nothing was sent because the quota is known to be used up.
    """
    minutes = ceil(seconds_until_refill / 60)
    error = DailyQuotaError(
        f"{QUOTA_USED_UP_MESSAGE}; TikTok refills it at 00:00 UTC, in {minutes // 60} h {minutes % 60} min",
        endpoint=response_error.endpoint if response_error else endpoint,
        code=response_error.code if response_error else None,
        request_id=response_error.request_id if response_error else "",
    )
    error.retry_after_seconds = seconds_until_refill
    return error


ERROR_BY_CONSEQUENCE: dict[Consequence, type[TikTokError]] = {
    "retry": RetryLaterError,
    "throttled": ThrottledError,
    "credentials": CredentialsError,
    "banned": BannedError,
    "request": RequestError,
    "not_offered": NotOfferedError,
    "advertiser": AdvertiserError,
    "too_large": TooLargeError,
    "timeout": RetryLaterError,  # `envelope` raises TimedOutError for reports
}

FIXES: dict[type[TikTokError], str] = {
    CredentialsError: "Check TIKTOK_ACCESS_TOKEN, and that it was issued by this app for this host.",
    AdvertiserError: "Grant the account to the app again, or remove it from TIKTOK_ADVERTISER_IDS.",
    NoAccountGrantedError: "Open the URL that `tiktok-assets auth` prints, select the accounts, and paste the URL"
    " of the page that opens next.",
    BannedError: "TikTok blocks the country of this machine's IP address: run it from a country where TikTok's API"
    " is available, or switch off the proxy or VPN that is in a blocked country.",
    DailyQuotaError: "Stored data is kept; the next refresh after the refill reads the missing data.",
    NotOfferedError: "On TikTok's own sandbox set TIKTOK_ADVERTISER_IDS, TIKTOK_ACCOUNT_TIMEZONE and"
    " TIKTOK_ACCOUNT_CURRENCY; elsewhere check TIKTOK_BASE_URL.",
    ThrottledError: "Wait a few minutes; if it recurs, set TIKTOK_API_TIER or TIKTOK_QPS to the app's limit.",
    SlowResponseError: "Check the connection to the host and any proxy in between; then try again later.",
    BudgetUnavailableError: "Stored data is kept; the next refresh reads the missing data once Redis runs again.",
    RetryLaterError: "Try again later.",
    TooLargeError: "Request fewer days or metrics at a time.",
    RequestError: "Check the settings that the message is about.",
    TikTokError: "Try again; if it fails again, report it with the request id.",
    OversizedError: "Check TIKTOK_BASE_URL and any proxy in between; nothing of the response was stored.",
    TruncatedError: "Request fewer campaigns or ad groups at a time; nothing of the cut report was stored.",
    UnreadableRowError: (
        "The previous data of this partition is kept and all other data was stored. A retry helps only once TikTok"
        " sends a readable row: compare it in Ads Manager, and report it to TikTok with the request id."
    ),
    UnknownOutcomeError: "Check whether it was carried out before you send it again.",
    ContractError: "Nothing of this response was stored; try again, or report it with the request id.",
}
"""Advice for the user, by error class; the most specific class counts."""


_PERMISSION_CODES = frozenset({40130, 40131})


def lacks_permission(error: TikTokError) -> bool:
    """Return whether the token lacks the permission for the endpoint; only the text tells this use of 40001."""
    return "scope" in str(error).lower() or error.code in _PERMISSION_CODES


def suggest_fix(error: TikTokError) -> str:
    """Return a sentence on how to fix an error, and when a retry may work, if that is known."""
    fix = next(FIXES[kind] for kind in type(error).__mro__ if kind in FIXES)
    return f"{fix} {describe_retry_delay(error)}".rstrip()


def describe_retry_delay(error: TikTokError) -> str:
    """Return a sentence on when a retry may work; "" if that is unknown."""
    if isinstance(error, DailyQuotaError):
        return ""  # its message has the time
    if isinstance(error, RetryLaterError | TimedOutError) and error.retry_after_seconds:
        return f"It may work again in {ceil(error.retry_after_seconds)} seconds."
    return ""
