"""Laws of the tree of errors: every failure is named for what the caller does next."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tiktok_assets.api.errors import (
    ERROR_BY_CONSEQUENCE,
    AdvertiserError,
    BannedError,
    ContractError,
    CredentialsError,
    DailyQuotaError,
    MovingPagesError,
    NoAccountGrantedError,
    NotOfferedError,
    OversizedError,
    RepeatedKeyError,
    RequestError,
    RetryLaterError,
    SlowResponseError,
    ThrottledError,
    TikTokError,
    TimedOutError,
    TooLargeError,
    TruncatedError,
    UnknownOutcomeError,
    UnreadableRowError,
    build_daily_quota_error,
    suggest_fix,
)
from tiktok_assets.spec.error_codes import ERROR_CODES, Consequence


def kinds(root: type[TikTokError] = TikTokError) -> Iterator[type[TikTokError]]:
    """Yield every class below the base."""
    for kind in root.__subclasses__():
        yield kind
        yield from kinds(kind)


each_kind = pytest.mark.parametrize("kind", [TikTokError, *kinds()], ids=lambda kind: kind.__name__)


def test_each_consequence_has_a_class_and_each_code_a_consequence() -> None:
    """From any code of the table a class follows, and no class stands for a consequence no code has."""
    assert ERROR_BY_CONSEQUENCE.keys() == set(get_args(Consequence))
    assert {row.consequence for row in ERROR_CODES.values()} == ERROR_BY_CONSEQUENCE.keys()


def test_the_tree_is_the_drawn_one() -> None:
    """A caller that handles the broader kind handles the narrower one too."""
    assert set(kinds()) == {
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
    }
    assert issubclass(ThrottledError, RetryLaterError)
    assert issubclass(DailyQuotaError, ThrottledError)
    assert issubclass(NoAccountGrantedError, CredentialsError)
    assert issubclass(BannedError, CredentialsError)
    assert issubclass(NotOfferedError, RequestError)
    assert issubclass(SlowResponseError, RetryLaterError)
    assert issubclass(OversizedError, ContractError)
    assert issubclass(TooLargeError, RequestError)
    assert issubclass(TimedOutError, TooLargeError)
    assert issubclass(TruncatedError, ContractError)
    assert issubclass(RepeatedKeyError, ContractError)
    assert issubclass(UnreadableRowError, ContractError)


@each_kind
def test_every_error_says_what_a_person_can_do(kind: type[TikTokError]) -> None:
    """Each error has a mend of one line, the narrowest that fits, the base itself included."""
    mend = suggest_fix(kind("no"))
    assert mend.endswith(".")
    assert "\n" not in mend


def test_a_narrower_error_has_a_mend_of_its_own() -> None:
    """A throttled caller is told of the tier, not just to come back later."""
    assert "TIKTOK_API_TIER" in suggest_fix(ThrottledError("slow down"))
    assert suggest_fix(TooLargeError("too much")) != suggest_fix(RequestError("wrong"))
    assert "TIKTOK_ACCESS_TOKEN" in suggest_fix(CredentialsError("who are you"))


@each_kind
def test_an_error_tells_where_code_and_request(kind: type[TikTokError]) -> None:
    """The message has the path, TikTok's words, its code and the id its support asks for; so do the attributes."""
    error = kind("no such thing", endpoint="ad/get/", code=40002, request_id="2026ABC")
    assert str(error) == "ad/get/: no such thing (code 40002, request 2026ABC)"
    assert (error.endpoint, error.code, error.request_id) == ("ad/get/", 40002, "2026ABC")


def test_an_error_without_an_answer_is_only_its_message() -> None:
    """What is not known is left out; a code of zero is known."""
    assert str(TikTokError("no route")) == "no route"
    assert str(TikTokError("odd", code=0)) == "odd (code 0)"
    assert str(TikTokError("odd", request_id="2026ABC")) == "odd (request 2026ABC)"


def test_only_what_passes_by_itself_has_a_time_to_come_back() -> None:
    """An error that stays has no delay; one that passes, or a report that timed out, may leave it open."""
    patient = {kind for kind in kinds() if hasattr(kind, "retry_after_seconds")}
    assert patient == {RetryLaterError, ThrottledError, DailyQuotaError, SlowResponseError, TimedOutError}
    assert RetryLaterError("later").retry_after_seconds is None


def test_a_known_delay_is_part_of_the_mend() -> None:
    """Who is told to come back later is told when, in whole seconds, where that is known."""
    error = ThrottledError("slow down")
    assert "seconds" not in suggest_fix(error)
    error.retry_after_seconds = 299.2
    assert suggest_fix(error).endswith(" It may work again in 300 seconds.")
    timed_out = TimedOutError("too slow")
    timed_out.retry_after_seconds = 12.0
    assert suggest_fix(timed_out) == f"{suggest_fix(TooLargeError('too much'))} It may work again in 12 seconds."


def test_a_quota_of_the_day_names_the_hour() -> None:
    """Its message says when it is refilled, and nothing tells to wait minutes."""
    error = build_daily_quota_error(3 * 3600 + 61)
    assert str(error).endswith("used up; TikTok refills it at 00:00 UTC, in 3 h 2 min")
    assert "minutes" not in suggest_fix(error)
    assert error.retry_after_seconds == 3 * 3600 + 61


def test_what_tiktok_says_brings_no_control_character() -> None:
    """An escape sequence, a line end or a bidi override in an answer's text is shown as its escape."""
    assert str(RequestError("a\x1b[2J\nb\u202e")) == r"a\x1b[2J\nb\u202e"
