"""Run the `doctor` command: check settings, folders, destinations, host, token and accounts with few requests."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from tiktok_assets.api import (
    AdvertiserError,
    BannedError,
    CredentialsError,
    NotOfferedError,
    RequestStats,
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
    check_destinations,
    check_folders,
    check_identities,
    check_scaling_campaigns,
    check_schedule,
    classify_error,
    explain_missing_permission,
    explain_retry,
)
from tiktok_assets.cli.doctor_spend import check_unreported_spend
from tiktok_assets.cli.session import INTERACTIVE_RETRY_POLICY
from tiktok_assets.ingest import (
    NO_ACCOUNT_MESSAGE,
    list_advertiser_ids,
    read_accounts_or_settings,
    resolve_accounts,
)
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings, SettingsError, load_settings
from tiktok_assets.spec import ADVERTISER_INFO, ADVERTISER_LIST

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)

DOCTOR_RETRY_POLICY = replace(
    INTERACTIVE_RETRY_POLICY, max_attempts=2, total_seconds=40.0, read_timeout_seconds=20.0
)
"""One retry only: there are many checks, and with a slow host each of them is slow."""

PLACEHOLDER_TOKEN = SecretStr("none")
"""Sent if there is no usable token, because the error response still shows what the host is."""

TOKEN_FIX = "Run `tiktok-assets auth`, or set TIKTOK_ACCESS_TOKEN in .env or the environment."  # noqa: S105 - a fix
GRANT_FIX = "Open the URL that `tiktok-assets auth` prints, and select the accounts."


def run_checks() -> CheckReport:
    """Make all checks that are possible; a fault is a result and never raises an error."""
    report = CheckReport()
    try:
        settings = load_settings()
    except SettingsError as error:
        report.add_fault("settings", str(error))
        return report
    report.set_ok("settings")
    check_folders(report, settings)
    check_alert_channels(report, settings)
    check_destinations(report, settings)
    check_schedule(report, settings)
    with tempfile.TemporaryDirectory(prefix="tiktok-assets-") as temporary:
        replaced_folders: dict[str, object] = {}
        if report.is_faulty("state"):  # the request budget needs a folder
            replaced_folders["state_dir"] = Path(temporary)
        if report.is_faulty("store"):
            replaced_folders["data_dir"] = temporary
        _check_host(report, settings.model_copy(update=replaced_folders))
    return report


def _check_host(report: CheckReport, settings: Settings) -> None:
    """Make the checks that send requests; without a usable token only those of the host."""
    fault = "there is no token"
    if settings.access_token and settings.access_token.get_secret_value():
        with closing(Session(settings, policy=DOCTOR_RETRY_POLICY)) as session:
            try:
                _TokenChecks(report, session).run()
            except CredentialsError as error:  # the token has characters that cannot be sent
                fault = str(error)
            else:
                return
    report.add_fault("token", fault, TOKEN_FIX)
    settings_without_token = settings.model_copy(update={"access_token": PLACEHOLDER_TOKEN})
    with closing(Session(settings_without_token, policy=DOCTOR_RETRY_POLICY)) as session:
        try:
            session.reader.fetcher.get(ADVERTISER_LIST, {}, RequestStats())
        except TikTokError as error:
            _check_first_response(report, session, error)


def _check_first_response(report: CheckReport, session: Session, error: TikTokError | None) -> bool:
    """Check host, clock and rate limit with the first response; return whether further requests make sense.

    Args:
        report: receives the results.
        session: the session that received the response.
        error: the error of the response; None if it has none.
    """
    base_url = session.settings.base_url
    if error and (error.code is None or isinstance(error, RetryLaterError)):
        if isinstance(error, ThrottledError):
            report.set_ok("host")
            report.add_fault("unrestricted", str(error), explain_retry(error))
        else:
            default = Settings.model_fields["base_url"].default
            fix = f"Check TIKTOK_BASE_URL (TikTok's is {default}) and the network, or try again later."
            report.add_fault("host", f"{base_url} does not respond as a TikTok API: {error}", fix)
            return False
    difference = datetime.now(UTC) - session.now()
    if abs(difference) > MAX_CLOCK_DIFFERENCE:
        direction = "ahead of" if difference > timedelta() else "behind"
        minutes = round(abs(difference).total_seconds() / 60)
        fix = "Set this machine's clock, or synchronize it with the network."
        report.add_fault("clock", f"this machine's clock is {minutes} minutes {direction} the host's", fix)
    report.set_ok("host", "clock")
    return not report.is_faulty("unrestricted")


class _TokenChecks:
    """The checks that need a token, each after those it depends on."""

    def __init__(self, report: CheckReport, session: Session) -> None:
        self._report = report
        self._session = session
        self._settings = session.settings
        self._reader = session.reader
        self._configured_ids = sorted(set(session.settings.advertiser_ids))

    def run(self) -> None:
        """Make the checks until a fault prevents further ones.

        Raises:
            CredentialsError: if the token cannot be sent.
        """
        granted, error = self._list_granted()
        self._report.set_ok("token")
        if not _check_first_response(self._report, self._session, error):
            return
        if error and not self._check_token(error):
            return
        self._report.set_ok("unrestricted", "accepted")
        ids = self._find_readable(self._select_accounts(granted), is_listed=granted is not None)
        if not ids or self._report.is_faulty("unrestricted"):
            return
        self._check_details(ids)
        check_unreported_spend(self._report, self._session, ids)
        check_scaling_campaigns(self._report, self._reader.fetcher, self._settings.scaling_campaigns, ids)
        check_identities(self._report, self._session, ids)

    def _list_granted(self) -> tuple[list[str] | None, TikTokError | None]:
        """Return the granted advertiser ids or the error; neither if there is no app id to list them with."""
        secret = self._settings.app_secret.get_secret_value() if self._settings.app_secret else None
        try:
            if self._settings.app_id and secret:
                return list_advertiser_ids(self._reader, self._settings.app_id, secret), None
            # The error of this request at least shows whether the token is valid.
            self._reader.fetcher.get(ADVERTISER_LIST, {}, RequestStats())
        except TikTokError as error:
            api_error = error.__cause__ if isinstance(error.__cause__, TikTokError) else error  # the original text
            if isinstance(api_error, CredentialsError) and api_error.code is None:
                raise
            return None, api_error
        return None, None

    def _check_token(self, error: TikTokError) -> bool:
        """Record why the accounts could not be listed; return whether the token is valid all the same."""
        cause = classify_error(error)
        if cause == "token":
            self._report.add_fault("accepted", f"the token is wrong or was revoked: {error}", TOKEN_FIX)
            return False
        if isinstance(error, BannedError):
            self._report.add_fault("unrestricted", str(error), suggest_fix(error))
            return False
        if cause == "scope":
            self._report.add_fault("accounts", *explain_missing_permission(error.endpoint))
        elif not self._settings.app_id or not self._settings.app_secret:
            pass  # `_select_accounts` records what is missing
        elif cause == "app" or (cause == "account" and "app" in str(error).lower()):
            fix = (
                "Set TIKTOK_APP_ID and TIKTOK_APP_SECRET to those of the app that issued the token, or run"
                " `tiktok-assets auth` for a token of this app."
            )
            self._report.add_fault("app", str(error), fix)
        return True

    def _select_accounts(self, granted: list[str] | None) -> list[str]:
        """Check the grants; return the accounts to read: the configured ones, or all, as far as they are granted.

        Args:
            granted: the granted advertiser ids; None if they could not be listed.
        """
        if granted is not None:
            self._report.set_ok("app")
            if not granted:
                self._report.add_fault("accounts", NO_ACCOUNT_MESSAGE, GRANT_FIX)
            if missing := [one for one in self._configured_ids if one not in granted]:
                fix = f"{GRANT_FIX} Or remove them from TIKTOK_ADVERTISER_IDS."
                self._report.add_fault("pinned", f"not granted to the app: {', '.join(missing)}", fix)
            self._report.set_ok("accounts")
            self._report.set_ok("pinned") if self._configured_ids else self._report.set_not_set("pinned")
            return [one for one in self._configured_ids or sorted(set(granted)) if one in granted]
        if not self._configured_ids and not self._report.is_faulty("app"):
            fix = "Set TIKTOK_APP_ID and TIKTOK_APP_SECRET, or list the accounts in TIKTOK_ADVERTISER_IDS."
            self._report.add_fault("accounts", "the accounts cannot be listed", fix)
        return self._configured_ids

    def _find_readable(self, ids: Sequence[str], *, is_listed: bool) -> list[str]:
        """Check which accounts and endpoints can be read; return the readable accounts.

        The first readable account gets a request to each endpoint. Further accounts get one request, and only if
        the granted accounts could not be listed.
        """
        unreadable: list[str] = []
        working_probe: ReadProbe | None = None
        for advertiser_id in ids:
            every_probe = build_read_probes(self._reader, self._settings, advertiser_id)
            probes = [working_probe] if working_probe else every_probe
            successful, refused = self._send_probes(advertiser_id, probes)
            if self._report.is_faulty("unrestricted"):
                return []
            if not successful and refused:
                unreadable.append(advertiser_id)
                fix = f"{GRANT_FIX} Or remove it from TIKTOK_ADVERTISER_IDS."
                error = next(iter(refused.values()))
                self._report.add_fault("pinned", f"advertiser {advertiser_id} cannot be read: {error}", fix)
            elif not working_probe:
                for probe, error in refused.items():  # the account can be read, so the permission is missing
                    fault, fix = explain_missing_permission(error.endpoint)
                    self._report.add_fault(probe.check, f"{fault}: {error}", fix)
                self._report.set_ok("entities", "reports")
                working_probe = next(iter(successful), None)
            if is_listed and working_probe:
                break
        readable = [one for one in ids if one not in unreadable]
        if readable:
            self._report.set_ok("accounts", *(["pinned"] if self._configured_ids else []))
        return readable

    def _send_probes(
        self, advertiser_id: str, probes: Iterable[ReadProbe]
    ) -> tuple[list[ReadProbe], dict[ReadProbe, AdvertiserError]]:
        """Send probes for an account; return the successful ones, and those refused for this account."""
        successful: list[ReadProbe] = []
        refused: dict[ReadProbe, AdvertiserError] = {}
        for probe in probes:
            error = self._send_probe(probe, advertiser_id)
            if self._report.is_faulty("unrestricted"):
                break
            if error:
                refused[probe] = error
            else:
                successful.append(probe)
        return successful, refused

    def _send_probe(self, probe: ReadProbe, advertiser_id: str) -> AdvertiserError | None:
        """Send one probe; return an error of the account, and record any other error as a fault."""
        try:
            probe.send(advertiser_id)
        except TikTokError as error:
            cause = classify_error(error)
            if cause == "scope":
                self._report.add_fault(probe.check, *explain_missing_permission(error.endpoint))
            elif cause == "restricted":
                self._report.add_fault("unrestricted", str(error), explain_retry(error))
            elif isinstance(error, AdvertiserError):
                return error
            else:
                self._report.add_fault(probe.check, str(error), suggest_fix(error))
        return None

    def _find_incomplete_accounts(self, advertiser_ids: Sequence[str]) -> Mapping[str, AdvertiserError]:
        """Return the accounts without time zone or currency.

        The endpoint is read even if the settings have both, because a refresh reads it too.
        """
        zones, currencies = self._settings.account_timezone, self._settings.account_currency
        read = read_accounts_or_settings(self._reader, advertiser_ids, zones, currencies)
        return resolve_accounts(read.frame, self._settings, advertiser_ids, read.refused)[1]

    def _check_details(self, ids: Sequence[str]) -> None:
        """Check time zones and currencies, first of one account, so that a general fault takes one request."""
        faults: list[str] = []
        for some_ids in filter(None, (ids[:1], ids[1:])):
            try:
                errors = self._find_incomplete_accounts(some_ids)
            except NotOfferedError:
                fix = (
                    "Set TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY, as advertiser_id:value,"
                    f" for each of: {', '.join(ids)}."
                )
                self._report.add_fault("details", "this host does not offer time zones and currencies", fix)
                return
            except TikTokError as error:
                self._report.add_fault("details", str(error), suggest_fix(error))
                return
            endpoint_errors = [error for error in errors.values() if error.endpoint == ADVERTISER_INFO.path]
            if endpoint_errors and some_ids == ids[:1]:  # the account itself can be read
                fault, fix = explain_missing_permission(ADVERTISER_INFO.path)
                self._report.add_fault("details", f"{fault}: {endpoint_errors[0]}", fix)
                return
            faults += [str(error) for error in errors.values()]
        if faults:
            self._report.add_fault("details", "; ".join(faults))
        self._report.set_ok("details")
