"""Tests of the error classes and of the fixes they suggest."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tiktok_assets.api.errors import (
    ERROR_BY_CONSEQUENCE,
    AdvertiserError,
    BannedError,
    BudgetUnavailableError,
    ContractError,
    CredentialsError,
    DailyQuotaError,
    MovingPagesError,
    NoAccountGrantedError,
    NotOfferedError,
    OversizedError,
    RepeatedKeyError,
    ReportTaskError,
    RequestError,
    RetryLaterError,
    SlowResponseError,
    ThrottledError,
    TikTokError,
    TimedOutError,
    TooLargeError,
    TooManyRowsError,
    TruncatedError,
    UnknownOutcomeError,
    UnreadableRowError,
    build_daily_quota_error,
    suggest_fix,
)
from tiktok_assets.api.report_files import ExpiredLinkError
from tiktok_assets.spec.error_codes import ERROR_CODES, Consequence


def error_classes(root: type[TikTokError] = TikTokError) -> Iterator[type[TikTokError]]:
    """Yield every class below the base."""
    for kind in root.__subclasses__():
        yield kind
        yield from error_classes(kind)


each_error_class = pytest.mark.parametrize("kind", [TikTokError, *error_classes()], ids=lambda kind: kind.__name__)


def test_every_consequence_has_an_error_class() -> None:
    """Every consequence of the code table has an error class, and every class for one has a code."""
    assert ERROR_BY_CONSEQUENCE.keys() == set(get_args(Consequence))
    assert {row.consequence for row in ERROR_CODES.values()} == ERROR_BY_CONSEQUENCE.keys()


def test_error_class_hierarchy() -> None:
    """A handler of a broader error class also handles the narrower ones."""
    assert set(error_classes()) == {
        BudgetUnavailableError,
        RetryLaterError,
        ThrottledError,
        DailyQuotaError,
        SlowResponseError,
        CredentialsError,
        NoAccountGrantedError,
        BannedError,
        RequestError,
        NotOfferedError,
        TooLargeError,
        TimedOutError,
        AdvertiserError,
        ContractError,
        OversizedError,
        TruncatedError,
        MovingPagesError,
        RepeatedKeyError,
        UnreadableRowError,
        UnknownOutcomeError,
        TooManyRowsError,
        ReportTaskError,
        ExpiredLinkError,
    }
    assert issubclass(ThrottledError, RetryLaterError)
    assert issubclass(DailyQuotaError, ThrottledError)
    assert issubclass(NoAccountGrantedError, CredentialsError)
    assert issubclass(BannedError, CredentialsError)
    assert issubclass(NotOfferedError, RequestError)
    assert issubclass(SlowResponseError, RetryLaterError)
    assert issubclass(BudgetUnavailableError, RetryLaterError)
    assert issubclass(OversizedError, ContractError)
    assert issubclass(TooLargeError, RequestError)
    assert issubclass(TimedOutError, TooLargeError)
    assert issubclass(TruncatedError, ContractError)
    assert issubclass(RepeatedKeyError, ContractError)
    assert issubclass(UnreadableRowError, ContractError)


@each_error_class
def test_every_error_suggests_a_fix(kind: type[TikTokError]) -> None:
    """Every error class, the base included, suggests a fix in one line."""
    fix = suggest_fix(kind("no"))
    assert fix.endswith(".")
    assert "\n" not in fix


def test_narrower_error_has_its_own_fix() -> None:
    """The fix of a narrower error class is more specific than that of its base."""
    assert "TIKTOK_API_TIER" in suggest_fix(ThrottledError("slow down"))
    assert suggest_fix(TooLargeError("too much")) != suggest_fix(RequestError("wrong"))
    assert "TIKTOK_ACCESS_TOKEN" in suggest_fix(CredentialsError("who are you"))


@each_error_class
def test_error_message_has_endpoint_code_and_request_id(kind: type[TikTokError]) -> None:
    """Message and attributes have the endpoint, TikTok's message, its code and the request id."""
    error = kind("no such thing", endpoint="ad/get/", code=40002, request_id="2026ABC")
    assert str(error) == "ad/get/: no such thing (code 40002, request 2026ABC)"
    assert (error.endpoint, error.code, error.request_id) == ("ad/get/", 40002, "2026ABC")


def test_unknown_details_are_left_out() -> None:
    """Unknown details are left out of the message; a code of zero is known."""
    assert str(TikTokError("no route")) == "no route"
    assert str(TikTokError("odd", code=0)) == "odd (code 0)"
    assert str(TikTokError("odd", request_id="2026ABC")) == "odd (request 2026ABC)"


def test_only_retryable_errors_have_a_retry_delay() -> None:
    """Only errors that can be retried, and reports that timed out, have a retry delay, which may be unknown."""
    retryable = {kind for kind in error_classes() if hasattr(kind, "retry_after_seconds")}
    assert retryable == {
        RetryLaterError,
        ThrottledError,
        DailyQuotaError,
        SlowResponseError,
        BudgetUnavailableError,
        TimedOutError,
    }
    assert RetryLaterError("later").retry_after_seconds is None


def test_known_retry_delay_is_part_of_the_fix() -> None:
    """The fix has the retry delay in whole seconds if it is known."""
    error = ThrottledError("slow down")
    assert "seconds" not in suggest_fix(error)
    error.retry_after_seconds = 299.2
    assert suggest_fix(error).endswith(" It may work again in 300 seconds.")
    timed_out = TimedOutError("too slow")
    timed_out.retry_after_seconds = 12.0
    assert suggest_fix(timed_out) == f"{suggest_fix(TooLargeError('too much'))} It may work again in 12 seconds."


def test_daily_quota_error_has_the_refill_time() -> None:
    """The message of a used-up daily quota has the time of the refill, and its fix suggests no wait of minutes."""
    error = build_daily_quota_error(3 * 3600 + 61)
    assert str(error).endswith("used up; TikTok refills it at 00:00 UTC, in 3 h 2 min")
    assert "minutes" not in suggest_fix(error)
    assert error.retry_after_seconds == 3 * 3600 + 61


def test_control_characters_are_escaped() -> None:
    """Control characters, line ends and bidi overrides in a message of TikTok are escaped."""
    assert str(RequestError("a\x1b[2J\nb\u202e")) == r"a\x1b[2J\nb\u202e"
