"""Run the `doctor` command: check settings, folders, host, token, permissions and accounts with few requests."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.errors import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    NotOfferedError,
    RetryLaterError,
    ThrottledError,
    TikTokError,
    suggest_fix,
)
from tiktok_assets.cli.doctor_checks import (
    CheckReport,
    ReadProbe,
    build_read_probes,
    check_alert_channels,
    check_folders,
    check_identities,
    check_scaling_campaigns,
    check_schedule,
    classify_error,
    explain_missing_permission,
    explain_retry,
)
from tiktok_assets.cli.session import INTERACTIVE_RETRY_POLICY
from tiktok_assets.ingest.account_reader import list_advertiser_ids
from tiktok_assets.ingest.accounts import NO_ACCOUNT_MESSAGE, resolve_accounts
from tiktok_assets.ingest.writer import read_accounts_or_settings
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)

DOCTOR_RETRY_POLICY = replace(INTERACTIVE_RETRY_POLICY, attempts=2, total_seconds=40.0, read_seconds=20.0)
"""There are many checks, and each may find the host slow."""

PLACEHOLDER_TOKEN = SecretStr("none")
"""Sent where there is none, so that the host shows what it is."""

TOKEN_FIX = "Run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN in .env or the environment."  # noqa: S105 - a mend
GRANT_FIX = "Open the address `tiktok-assets auth` prints, and tick the accounts."


def run_checks() -> CheckReport:
    """Every check that can be made; a fault is a finding, never an exception."""
    chart = CheckReport()
    try:
        settings = load_settings()
    except SettingsError as error:
        chart.fault("settings", str(error))
        return chart
    chart.well("settings")
    check_folders(chart, settings)
    check_alert_channels(chart, settings)
    check_schedule(chart, settings)
    with tempfile.TemporaryDirectory(prefix="tiktok-assets-") as spare:
        elsewhere: dict[str, object] = {}
        if chart.is_faulty("state"):  # the requests are paced all the same
            elsewhere["state_dir"] = Path(spare)
        if chart.is_faulty("store"):
            elsewhere["data_dir"] = spare
        _check_host(chart, settings.model_copy(update=elsewhere))
    return chart


def _check_host(chart: CheckReport, settings: Settings) -> None:
    """Everything that takes requests; without a usable token only what the host shows to anybody."""
    fault = "there is no token"
    if settings.access_token and settings.access_token.get_secret_value():
        with closing(Session(settings, policy=DOCTOR_RETRY_POLICY)) as session:
            try:
                _TokenChecks(chart, session).run()
            except CredentialsError as error:  # the token cannot even be sent
                fault = str(error)
            else:
                return
    chart.fault("token", fault, TOKEN_FIX)
    with closing(
        Session(settings.model_copy(update={"access_token": PLACEHOLDER_TOKEN}), policy=DOCTOR_RETRY_POLICY)
    ) as session:
        try:
            session.reader.fetcher.ask(ADVERTISER_LIST, {}, RequestStats())
        except TikTokError as error:
            _check_first_response(chart, session, error)


def _check_first_response(chart: CheckReport, session: Session, error: TikTokError | None) -> bool:
    """What the first answer shows of the host, whatever it says; whether it makes sense to go on."""
    base_url = session.settings.base_url
    if error and (error.code is None or isinstance(error, RetryLaterError)):
        if isinstance(error, ThrottledError):
            chart.well("host")
            chart.fault("unrestricted", str(error), explain_retry(error))
        else:
            default = Settings.model_fields["base_url"].default
            mend = f"Check TIKTOK_BASE_URL (TikTok's own is {default}) and the network, or try again later."
            chart.fault("host", f"{base_url} does not answer as a TikTok API does: {error}", mend)
            return False
    off = datetime.now(UTC) - session.now()
    if abs(off) > MAX_CLOCK_DIFFERENCE:
        direction = "ahead of" if off > timedelta() else "behind"
        minutes = round(abs(off).total_seconds() / 60)
        mend = "Set this machine's clock, or let it be set by the network."
        chart.fault("clock", f"this machine's clock is {minutes} minutes {direction} the host's", mend)
    chart.well("host", "clock")
    return not chart.is_faulty("unrestricted")


class _TokenChecks:
    """The checks that need a token, in the order in which each makes the next possible."""

    def __init__(self, chart: CheckReport, session: Session) -> None:
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
        if not _check_first_response(self._chart, self._session, error):
            return
        if error and not self._judge(error):
            return
        self._chart.well("unrestricted", "accepted")
        ids = self._readable(self._to_read(listed), listed=listed is not None)
        if not ids or self._chart.is_faulty("unrestricted"):
            return
        if not self._chart.is_faulty("unrestricted"):
            self._check_details(ids)
            check_scaling_campaigns(self._chart, self._reader.fetcher, self._settings.scaling_campaigns, ids)
            check_identities(self._chart, self._session, ids)

    def _listed(self) -> tuple[list[str] | None, TikTokError | None]:
        """The accounts granted, or the error that tells why they are not known."""
        secret = self._settings.app_secret.get_secret_value() if self._settings.app_secret else None
        try:
            if self._settings.app_id and secret:
                return list_advertiser_ids(self._reader, self._settings.app_id, secret), None
            self._reader.fetcher.ask(
                ADVERTISER_LIST, {}, RequestStats()
            )  # says at least whether the token is good
        except TikTokError as error:
            told = error.__cause__ if isinstance(error.__cause__, TikTokError) else error  # the API's own words
            if isinstance(told, CredentialsError) and told.code is None:
                raise
            return None, told
        return None, None

    def _judge(self, error: TikTokError) -> bool:
        """What it means that the accounts were not listed; whether the token is good all the same."""
        cause = classify_error(error)
        if cause == "token":
            self._chart.fault("accepted", f"the token is wrong or was revoked: {error}", TOKEN_FIX)
            return False
        if isinstance(error, BannedError):
            self._chart.fault("unrestricted", str(error), suggest_fix(error))
            return False
        if cause == "scope":
            self._chart.fault("accounts", *explain_missing_permission(error.endpoint))
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
                self._chart.fault("accounts", NO_ACCOUNT_MESSAGE, GRANT_FIX)
            if lost := [one for one in self._pinned if one not in listed]:
                mend = f"{GRANT_FIX} Or take them out of TIKTOK_ADVERTISER_IDS."
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
        known_good: ReadProbe | None = None
        for advertiser_id in ids:
            questions = [known_good] if known_good else build_read_probes(self._reader, self._settings)
            answered, refused = self._asked(advertiser_id, questions)
            if self._chart.is_faulty("unrestricted"):
                return []
            if not answered and refused:
                lost.append(advertiser_id)
                mend = f"{GRANT_FIX} Or take it out of TIKTOK_ADVERTISER_IDS."
                error = next(iter(refused.values()))
                self._chart.fault("pinned", f"advertiser {advertiser_id} cannot be read: {error}", mend)
            elif not known_good:
                for question, error in refused.items():  # the account is granted, so it is the endpoint
                    fault, mend = explain_missing_permission(error.endpoint)
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
        self, advertiser_id: str, questions: Iterable[ReadProbe]
    ) -> tuple[list[ReadProbe], dict[ReadProbe, AdvertiserError]]:
        """Ask for an account: the questions that were answered, and those refused for the account."""
        answered: list[ReadProbe] = []
        refused: dict[ReadProbe, AdvertiserError] = {}
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
            cause = classify_error(error)
            if cause == "scope":
                self._chart.fault(check, *explain_missing_permission(error.endpoint))
            elif cause == "restricted":
                self._chart.fault("unrestricted", str(error), explain_retry(error))
            elif isinstance(error, AdvertiserError):
                return error
            else:
                self._chart.fault(check, str(error), suggest_fix(error))
        return None

    def _unknown(self, advertiser_ids: Sequence[str]) -> Mapping[str, AdvertiserError]:
        """The accounts whose zone or currency nobody tells; the endpoint is asked even where they are known."""
        zones, currencies = self._settings.account_timezone, self._settings.account_currency
        read = read_accounts_or_settings(self._reader, advertiser_ids, zones, currencies)
        return resolve_accounts(read.frame, self._settings, advertiser_ids, read.refused)[1]

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
                self._chart.fault("details", str(error), suggest_fix(error))
                return
            of_endpoint = [one for one in refused.values() if one.endpoint == ADVERTISER_INFO.path]
            if of_endpoint and some == ids[:1]:  # the account itself was read before
                fault, mend = explain_missing_permission(ADVERTISER_INFO.path)
                self._chart.fault("details", f"{fault}: {of_endpoint[0]}", mend)
                return
            faults += [str(error) for error in refused.values()]
        if faults:
            self._chart.fault("details", "; ".join(faults))
        self._chart.well("details")
