"""`doctor`: every check a new user needs, made with as few requests as that takes."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from tiktok_assets.api.client import Tally
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    NotOfferedError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    mend_of,
)
from tiktok_assets.commands.chart import Chart, cause_of
from tiktok_assets.commands.doctor_folders import check_folders
from tiktok_assets.commands.doctor_reading import Question, permission_fault, questions_of, when_to_return
from tiktok_assets.commands.doctor_scaling import check_copies, check_receivers, check_scaling
from tiktok_assets.commands.doctor_schedule import check_schedule
from tiktok_assets.commands.patience import BRIEF
from tiktok_assets.refresh.account_details import accounts_read
from tiktok_assets.refresh.accounts import NO_ACCOUNT, accounts_of
from tiktok_assets.refresh.reading import listed_advertisers
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST

CLOCK_MAY_BE_OFF = timedelta(minutes=5)

ONE_MORE_TRY = replace(BRIEF, attempts=2, total_seconds=40.0, read_seconds=20.0)
"""There are many checks, and each may find the host slow."""

NO_TOKEN = SecretStr("none")
"""Sent where there is none, so that the host shows what it is."""

GET_A_TOKEN = "Run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN in .env or the environment."  # noqa: S105 - a mend
GRANT = "Open the address `tiktok-assets auth` prints, and tick the accounts."


def examine() -> Chart:
    """Every check that can be made; a fault is a finding, never an exception."""
    chart = Chart()
    try:
        settings = load_settings()
    except SettingsError as error:
        chart.fault("settings", str(error))
        return chart
    chart.well("settings")
    check_folders(chart, settings)
    check_receivers(chart, settings)
    check_schedule(chart, settings)
    with tempfile.TemporaryDirectory(prefix="tiktok-assets-") as spare:
        elsewhere: dict[str, object] = {}
        if chart.is_faulty("state"):  # the requests are paced all the same
            elsewhere["state_dir"] = Path(spare)
        if chart.is_faulty("store"):
            elsewhere["data_dir"] = spare
        _check_host(chart, settings.model_copy(update=elsewhere))
    return chart


def _check_host(chart: Chart, settings: Settings) -> None:
    """Everything that takes requests; without a usable token only what the host shows to anybody."""
    fault = "there is no token"
    if settings.access_token and settings.access_token.get_secret_value():
        with closing(Session(settings, policy=ONE_MORE_TRY)) as session:
            try:
                _Examination(chart, session).run()
            except CredentialsError as error:  # the token cannot even be sent
                fault = str(error)
            else:
                return
    chart.fault("token", fault, GET_A_TOKEN)
    with closing(Session(settings.model_copy(update={"access_token": NO_TOKEN}), policy=ONE_MORE_TRY)) as session:
        try:
            session.reader.fetcher.ask(ADVERTISER_LIST, {}, Tally())
        except TikTokError as error:
            _check_contact(chart, session, error)


def _check_contact(chart: Chart, session: Session, error: TikTokError | None) -> bool:
    """What the first answer shows of the host, whatever it says; whether it makes sense to go on."""
    base_url = session.settings.base_url
    if error and (error.code is None or isinstance(error, RetryLaterError)):
        if isinstance(error, ThrottledError):
            chart.well("host")
            chart.fault("unrestricted", str(error), when_to_return(error))
        else:
            default = Settings.model_fields["base_url"].default
            mend = f"Check TIKTOK_BASE_URL (TikTok's own is {default}) and the network, or try again later."
            chart.fault("host", f"{base_url} does not answer as a TikTok API does: {error}", mend)
            return False
    off = datetime.now(UTC) - session.now()
    if abs(off) > CLOCK_MAY_BE_OFF:
        direction = "ahead of" if off > timedelta() else "behind"
        minutes = round(abs(off).total_seconds() / 60)
        mend = "Set this machine's clock, or let it be set by the network."
        chart.fault("clock", f"this machine's clock is {minutes} minutes {direction} the host's", mend)
    chart.well("host", "clock")
    return not chart.is_faulty("unrestricted")


class _Examination:
    """The checks that need a token, in the order in which each makes the next possible."""

    def __init__(self, chart: Chart, session: Session) -> None:
        self._chart = chart
        self._session = session
        self._settings = session.settings
        self._reader = session.reader
        self._pinned = sorted(set(session.settings.advertiser_ids))

    def run(self) -> None:
        """Ask until there is nothing left to learn.

        Raises:
            CredentialsError: if the token cannot be sent.
        """
        listed, error = self._listed()
        self._chart.well("token")
        if not _check_contact(self._chart, self._session, error):
            return
        if error and not self._judge(error):
            return
        self._chart.well("unrestricted", "accepted")
        ids = self._readable(self._to_read(listed), listed=listed is not None)
        if not ids or self._chart.is_faulty("unrestricted"):
            return
        if not self._chart.is_faulty("unrestricted"):
            self._check_details(ids)
            check_scaling(self._chart, self._reader.fetcher, self._settings.scaling_campaigns, ids)
            check_copies(self._chart, self._session, ids)

    def _listed(self) -> tuple[list[str] | None, TikTokError | None]:
        """The accounts granted, or the error that tells why they are not known."""
        secret = self._settings.app_secret.get_secret_value() if self._settings.app_secret else None
        try:
            if self._settings.app_id and secret:
                return listed_advertisers(self._reader, self._settings.app_id, secret), None
            self._reader.fetcher.ask(ADVERTISER_LIST, {}, Tally())  # says at least whether the token is good
        except TikTokError as error:
            told = error.__cause__ if isinstance(error.__cause__, TikTokError) else error  # the API's own words
            if isinstance(told, CredentialsError) and told.code is None:
                raise
            return None, told
        return None, None

    def _judge(self, error: TikTokError) -> bool:
        """What it means that the accounts were not listed; whether the token is good all the same."""
        cause = cause_of(error)
        if cause == "token":
            self._chart.fault("accepted", f"the token is wrong or was revoked: {error}", GET_A_TOKEN)
            return False
        if isinstance(error, BannedError):
            self._chart.fault("unrestricted", str(error), mend_of(error))
            return False
        if cause == "scope":
            self._chart.fault("accounts", *permission_fault(error.endpoint))
        elif not self._settings.app_id or not self._settings.app_secret:
            pass  # `_to_read` says what is missing
        elif cause == "app" or (cause == "account" and "app" in str(error).lower()):
            mend = (
                "Set TIKTOK_APP_ID and TIKTOK_APP_SECRET to those of the app the token was issued by, or run"
                " `tiktok-assets auth` for a token of this app."
            )
            self._chart.fault("app", str(error), mend)
        return True

    def _to_read(self, listed: list[str] | None) -> list[str]:
        """The accounts to look into: those asked for, as far as they are granted."""
        if listed is not None:
            self._chart.well("app")
            if not listed:
                self._chart.fault("accounts", NO_ACCOUNT, GRANT)
            if lost := [one for one in self._pinned if one not in listed]:
                mend = f"{GRANT} Or take them out of TIKTOK_ADVERTISER_IDS."
                self._chart.fault("pinned", f"not granted to the app: {', '.join(lost)}", mend)
            self._chart.well("accounts")
            self._chart.well("pinned") if self._pinned else self._chart.unset("pinned")
            return [one for one in self._pinned or sorted(set(listed)) if one in listed]
        if not self._pinned and not self._chart.is_faulty("app"):
            mend = "Set TIKTOK_APP_ID and TIKTOK_APP_SECRET, or name the accounts in TIKTOK_ADVERTISER_IDS."
            self._chart.fault("accounts", "the accounts cannot be listed", mend)
        return self._pinned

    def _readable(self, ids: Sequence[str], *, listed: bool) -> list[str]:
        """Those that answer. The first is asked for everything; the others only where nothing lists accounts."""
        lost: list[str] = []
        known_good: Question | None = None
        for advertiser_id in ids:
            questions = [known_good] if known_good else questions_of(self._reader, self._settings)
            answered, refused = self._asked(advertiser_id, questions)
            if self._chart.is_faulty("unrestricted"):
                return []
            if not answered and refused:
                lost.append(advertiser_id)
                mend = f"{GRANT} Or take it out of TIKTOK_ADVERTISER_IDS."
                error = next(iter(refused.values()))
                self._chart.fault("pinned", f"advertiser {advertiser_id} cannot be read: {error}", mend)
            elif not known_good:
                for question, error in refused.items():  # the account is granted, so it is the endpoint
                    fault, mend = permission_fault(error.endpoint)
                    self._chart.fault(question.check, f"{fault}: {error}", mend)
                self._chart.well("entities", "reports")
                known_good = next(iter(answered), None)
            if listed and known_good:
                break
        readable = [one for one in ids if one not in lost]
        if readable:
            self._chart.well("accounts", *(["pinned"] if self._pinned else []))
        return readable

    def _asked(
        self, advertiser_id: str, questions: Iterable[Question]
    ) -> tuple[list[Question], dict[Question, AdvertiserError]]:
        """Ask for an account: the questions that were answered, and those refused for the account."""
        answered: list[Question] = []
        refused: dict[Question, AdvertiserError] = {}
        for question in questions:
            error = self._error_of(question.check, partial(question.ask, advertiser_id))
            if self._chart.is_faulty("unrestricted"):
                break
            if error:
                refused[question] = error
            else:
                answered.append(question)
        return answered, refused

    def _error_of(self, check: str, ask: Callable[[], object]) -> AdvertiserError | None:
        """Make a request for a check. An account's own error is handed back, any other is found here."""
        try:
            ask()
        except TikTokError as error:
            cause = cause_of(error)
            if cause == "scope":
                self._chart.fault(check, *permission_fault(error.endpoint))
            elif cause == "restricted":
                self._chart.fault("unrestricted", str(error), when_to_return(error))
            elif isinstance(error, AdvertiserError):
                return error
            else:
                self._chart.fault(check, str(error), mend_of(error))
        return None

    def _unknown(self, advertiser_ids: Sequence[str]) -> Mapping[str, AdvertiserError]:
        """The accounts whose zone or currency nobody tells; the endpoint is asked even where they are known."""
        zones, currencies = self._settings.account_timezone, self._settings.account_currency
        read = accounts_read(self._reader, advertiser_ids, zones, currencies)
        return accounts_of(read.frame, self._settings, advertiser_ids, read.refused)[1]

    def _check_details(self, ids: Sequence[str]) -> None:
        """The first account by itself: what is wrong with all of them is then asked for once."""
        faults: list[str] = []
        for some in filter(None, (ids[:1], ids[1:])):
            try:
                refused = self._unknown(some)
            except NotOfferedError:
                names = ", ".join(ids)
                mend = (
                    "Set TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY, as advertiser_id:value,"
                    f" for each of: {names}."
                )
                self._chart.fault("details", "this host tells no time zones and currencies", mend)
                return
            except TikTokError as error:
                self._chart.fault("details", str(error), mend_of(error))
                return
            of_endpoint = [one for one in refused.values() if one.endpoint == ADVERTISER_INFO.path]
            if of_endpoint and some == ids[:1]:  # the account itself was read before
                fault, mend = permission_fault(ADVERTISER_INFO.path)
                self._chart.fault("details", f"{fault}: {of_endpoint[0]}", mend)
                return
            faults += [str(error) for error in refused.values()]
        if faults:
            self._chart.fault("details", "; ".join(faults))
        self._chart.well("details")
