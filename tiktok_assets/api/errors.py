"""Every way the API can fail, named for what the caller does next.

TikTokError
├── RetryLaterError        nothing is wrong with the call; ask again after `retry_after_seconds`
│   ├── ThrottledError     the app is over its limit; everyone waits
│   │   └── RetryTomorrowError  its quota of the day is used up; nothing is sent until 00:00 UTC
│   └── SlowAnswerError    an answer began and did not end in time
├── CredentialsError       a person must mend the token or the app
│   ├── GrantAccountError  no ad account is granted; a person must grant one
│   └── BannedError        TikTok answers nobody in the country of this machine's address
├── RequestError           the call itself is wrong and stays wrong
│   ├── NotOfferedError    this host has no such endpoint; do without it where the settings tell the same
│   └── TooLargeError      the same call over fewer days may work
│       └── TimedOutError  it took TikTok too long; the third time within ten minutes it is not even sent
├── AdvertiserError        this account cannot be read; the others can
├── UnknownOutcomeError    a write may have been done or not: look before it is done again
└── ContractError          the API answered something it must not: nothing of it may be kept
    ├── OversizedError     an answer is larger than any of the API
    ├── TruncatedError     the API left rows out and says so; smaller questions may be whole
    ├── MovingPagesError   rows move between the pages of a listing; smaller questions may fit a page
    ├── RepeatedKeyError   several rows of an answer are of one key; smaller questions may be sound
    └── UnreadableRowError a row cannot be stored: its key or its spend cannot be read
"""

from math import ceil

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec.error_codes import Consequence

QUOTA_USED_UP_MESSAGE = "the app's quota of requests for today is used up"


class TikTokError(Exception):
    """Anything that went wrong between us and the API. Never carries the token, nor a control character.

    Attributes:
        code: the API's code, or None where no envelope was read.
        request_id: the API's id of the request, for its support; "" where there is none.
        endpoint: the path asked.
    """

    def __init__(self, message: str, *, endpoint: str = "", code: int | None = None, request_id: str = "") -> None:
        self.endpoint = endpoint
        self.code = code
        self.request_id = request_id
        facts = [f"code {code}" if code is not None else "", f"request {request_id}" if request_id else ""]
        told = ", ".join(fact for fact in facts if fact)
        where = f"{endpoint}: " if endpoint else ""
        super().__init__(escape_control_characters(f"{where}{message}{f' ({told})' if told else ''}"))


class RetryLaterError(TikTokError):
    """The same call may work later.

    Attributes:
        retry_after_seconds: how long to wait at least; None leaves it to the back-off.
    """

    retry_after_seconds: float | None = None


class ThrottledError(RetryLaterError):
    """The app sent more than its tier allows."""


class DailyQuotaError(ThrottledError):
    """The app's quota of the day is used up; it is refilled at 00:00 UTC (tiktok_api.md section 4.1)."""


class SlowResponseError(RetryLaterError):
    """The answer began, and was not whole in time; it is not asked for again at once."""


class CredentialsError(TikTokError):
    """The token is missing, wrong, revoked or lacks a permission."""


class NoAccountGrantedError(CredentialsError):
    """No ad account is granted to the app."""


class BannedError(CredentialsError):
    """TikTok answers nobody in the country of this machine's address."""


class RequestError(TikTokError):
    """The call has a wrong parameter, or asks for something that does not exist."""


class NotOfferedError(RequestError):
    """The host has no such endpoint, as TikTok's own sandbox lacks many."""


class TooLargeError(RequestError):
    """The query takes the API too long; fewer days at a time may work."""


class TimedOutError(TooLargeError):
    """A report timed out; TikTok blocks one that does so three times within ten minutes (dossier 4.3).

    Attributes:
        retry_after_seconds: when the very same report may be sent again; None while that is at once.
    """

    retry_after_seconds: float | None = None


class AdvertiserError(TikTokError):
    """The account is not granted to the app, closed or gone."""


class UnknownOutcomeError(TikTokError):
    """A write was sent, and nobody can say whether it was done: no answer, half a one, or a server that failed."""


class ContractError(TikTokError):
    """The answer breaks the API's own contract: a shape, a type or a count that cannot be."""


class OversizedError(ContractError):
    """The answer is larger than any the API gives; it was not read to its end."""


class TruncatedError(ContractError):
    """A report was cut to its newest ads; asking about fewer of them may bring all."""


class MovingPagesError(ContractError):
    """Rows move between pages, as those of equal rank may; what fits one page cannot.

    Attributes:
        announced: how many rows there are, by all pages alike; None where they disagree on it.
    """

    announced: int | None = None


class RepeatedKeyError(ContractError):
    """Several rows of one page have the same key and say different things."""


class UnreadableRowError(ContractError):
    """A row has no key that can be read, is of another account or day, or has a spend that cannot be trusted."""


def build_daily_quota_error(
    refilled_in_seconds: float, *, endpoint: str = "", said: TikTokError | None = None
) -> "DailyQuotaError":
    """Make the error of a quota of the day that is used up, with the hour it is refilled.

    Args:
        refilled_in_seconds: until 00:00 UTC by the host's clock.
        endpoint: the path asked.
        said: TikTok's refusal; None where nothing was sent because the quota is known to be used up.
    """
    minutes = ceil(refilled_in_seconds / 60)
    error = DailyQuotaError(
        f"{QUOTA_USED_UP_MESSAGE}; TikTok refills it at 00:00 UTC, in {minutes // 60} h {minutes % 60} min",
        endpoint=said.endpoint if said else endpoint,
        code=said.code if said else None,
        request_id=said.request_id if said else "",
    )
    error.retry_after_seconds = refilled_in_seconds
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
    "timeout": RetryLaterError,  # `client` makes it TimedOutError for reports
}

FIXES: dict[type[TikTokError], str] = {
    CredentialsError: "Check TIKTOK_ACCESS_TOKEN, and that it was issued by this app for this host.",
    AdvertiserError: "Grant the account to the app again, or take it out of TIKTOK_ADVERTISER_IDS.",
    NoAccountGrantedError: "Open the address `tiktok-assets auth` prints, tick the accounts, and give it the answer.",
    BannedError: "TikTok bans the country of this machine's internet address: run it from a country where TikTok's"
    " API is open, or switch off the proxy or VPN that makes it look elsewhere.",
    DailyQuotaError: "What is stored stays; the next refresh after that reads what is missing.",
    NotOfferedError: "On TikTok's own sandbox set TIKTOK_ADVERTISER_IDS, TIKTOK_ACCOUNT_TIMEZONE and"
    " TIKTOK_ACCOUNT_CURRENCY; elsewhere check TIKTOK_BASE_URL.",
    ThrottledError: "Wait a few minutes; if it returns, set TIKTOK_API_TIER or TIKTOK_QPS to what the app has.",
    SlowResponseError: "Check the connection to the host, and any proxy between; then try again later.",
    RetryLaterError: "Try again later.",
    TooLargeError: "Ask for fewer days or metrics at a time.",
    RequestError: "Check the settings against the message.",
    TikTokError: "Try again, and report it with the request id if it stays.",
    OversizedError: "Check TIKTOK_BASE_URL, and any proxy between; nothing of the answer was kept.",
    TruncatedError: "Ask for fewer campaigns or ad groups at a time; nothing of the cut report was kept.",
    UnreadableRowError: (
        "What stood for it still stands, and all else was stored; asking again helps only once TikTok sends it"
        " readable: compare it in Ads Manager, and report it to TikTok with the request id if it stays."
    ),
    UnknownOutcomeError: "Look whether it was done before it is asked for again.",
    ContractError: "Nothing of this answer was kept; try again, and report it with the request id if it stays.",
}


def suggest_fix(error: TikTokError) -> str:
    """One sentence on what a person can do about an error, and when, where that is known."""
    mend = next(FIXES[kind] for kind in type(error).__mro__ if kind in FIXES)
    return f"{mend} {describe_retry_delay(error)}".rstrip()


def describe_retry_delay(error: TikTokError) -> str:
    """One sentence on when the same may work again; "" where nobody knows."""
    if isinstance(error, DailyQuotaError):
        return ""  # its message has the hour
    if isinstance(error, RetryLaterError | TimedOutError) and error.retry_after_seconds:
        return f"It may work again in {ceil(error.retry_after_seconds)} seconds."
    return ""
