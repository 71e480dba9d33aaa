"""`auth`: from the app to the address a person opens, and from what that brings to a token in `.env`."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import parse_qs

import polars as pl

from tiktok_assets.api.auth import Exchange, Granted, authorization_url
from tiktok_assets.api.errors import BannedError, GrantAccountError, RetryLaterError, TikTokError, mend_of
from tiktok_assets.commands.env_file import ENV_FILE, check_writable, set_variables
from tiktok_assets.commands.oauth_state import check_state, new_state
from tiktok_assets.commands.patience import open_briefly
from tiktok_assets.commands.problems import Problem, WrongUsage
from tiktok_assets.refresh.accounts import NO_ACCOUNT
from tiktok_assets.refresh.reading import read_accounts
from tiktok_assets.settings import Settings, load_settings

HISTORY_DAYS = 90
AUTH_CODE_ERRORS = frozenset({40110, 40115})
APP_OR_CODE_ERROR = 40101

_BARE_CODE = re.compile(r"[A-Za-z0-9._~-]+")
_AGAIN = "Open the address `tiktok-assets auth` prints again, and come back within the hour."


def address_to_open(settings: Settings, redirect_uri: str | None) -> str:
    """The authorisation address of the app, with a state nobody can guess, which is kept.

    Raises:
        Problem: if the app is not known, or the state cannot be kept.
    """
    if not settings.app_id:
        raise Problem(_missing("TIKTOK_APP_ID"))
    return authorization_url(settings.app_id, new_state(settings.state_dir), redirect_uri)


def code_of(redirected: str) -> tuple[str, str | None]:
    """The `auth_code` and the state of the address the browser was sent to.

    >>> code_of("https://agency.example/callback/?auth_code=a1&code=a1&state=s")
    ('a1', 's')

    Raises:
        WrongUsage: if there is no code.
    """
    text = redirected.strip()
    query = parse_qs(text.partition("#")[0].rpartition("?")[2])
    code = next((query[name][0] for name in ("auth_code", "code") if name in query), None)
    if code:
        return code, query.get("state", [None])[0]
    if _BARE_CODE.fullmatch(text):
        return text, None
    raise WrongUsage(
        "there is no auth_code in what was given: copy the whole address the browser was sent to, in quotes."
    )


def authorise(
    settings: Settings, redirected: str, warn: Callable[[str], None], *, without_state: bool = False
) -> pl.DataFrame:
    """Exchange what the browser brought, keep the token in `.env`, and tell the accounts it was given for.

    Args:
        settings: whose app.
        redirected: the address the browser was sent to.
        without_state: take a code, or an address, that no `auth` of this folder asked for.
        warn: takes a sentence about what may surprise.

    Raises:
        WrongUsage: if there is no code in it.
        Problem: if the app is not known, the state is not ours, `.env` cannot be written, or TikTok refuses.
        GrantAccountError: if no account was ticked; the token is kept.
    """
    code, state = code_of(redirected)
    if not settings.app_id:
        raise Problem(_missing("TIKTOK_APP_ID"))
    if not settings.app_secret or not settings.app_secret.get_secret_value():
        raise Problem(_missing("TIKTOK_APP_SECRET"))
    check_writable(ENV_FILE)  # a code can be spent only once
    if not without_state:
        check_state(settings.state_dir, state)
    granted, now = _exchanged(settings, code, settings.app_id, settings.app_secret.get_secret_value())
    set_variables(ENV_FILE, _variables(settings, granted, now))
    if os.environ.get("TIKTOK_ACCESS_TOKEN", granted.token) != granted.token:
        warn("The token is in .env, but the environment has another TIKTOK_ACCESS_TOKEN, which wins: unset it.")
    if not granted.advertiser_ids:
        raise GrantAccountError(f"the token is in .env, but {NO_ACCOUNT}")
    return _accounts(granted, warn)


def _exchanged(settings: Settings, code: str, app_id: str, secret: str) -> tuple[Granted, datetime]:
    try:
        with Exchange(settings.base_url) as exchange:
            return exchange.token_for(code, app_id, secret), exchange.now()
    except RetryLaterError as error:
        raise Problem(f"{error}; whether the code was spent is not known. {_AGAIN}") from error
    except TikTokError as error:
        if error.code in AUTH_CODE_ERRORS:
            raise Problem(f"{error}; a code works once, within the hour, for its own app. {_AGAIN}") from error
        if error.code == APP_OR_CODE_ERROR:
            raise Problem(
                f"{error}; either TIKTOK_APP_ID and TIKTOK_APP_SECRET are not of one app, or the code is wrong or"
                f" used: check both against the app's page. {_AGAIN}"
            ) from error
        if isinstance(error, BannedError):
            raise Problem(f"{error}. {mend_of(error)}") from error
        raise Problem(
            f"{error}; nothing was written. Check TIKTOK_APP_ID and TIKTOK_APP_SECRET against the app's page,"
            " and TIKTOK_BASE_URL."
        ) from error


def _variables(settings: Settings, granted: Granted, now: datetime) -> Mapping[str, str]:
    """What `.env` must say from now on."""
    told = {"TIKTOK_ACCESS_TOKEN": granted.token}
    if "start_date" not in settings.model_fields_set:
        told["TIKTOK_START_DATE"] = (now.date() - timedelta(HISTORY_DAYS)).isoformat()
    if settings.base_url != Settings.model_fields["base_url"].default:
        told["TIKTOK_BASE_URL"] = settings.base_url
    return told


def _accounts(granted: Granted, warn: Callable[[str], None]) -> pl.DataFrame:
    """The accounts with their details, or with their ids alone where the host tells no more."""
    ids = sorted(set(granted.advertiser_ids))
    try:
        with open_briefly(load_settings(access_token=granted.token)) as session:
            return read_accounts(session.reader, ids).frame
    except TikTokError as error:
        warn(f"The token is in .env; the accounts' details could not be read: {error}")
        return pl.DataFrame({"advertiser_id": ids}, schema={"advertiser_id": pl.String})


def _missing(variable: str) -> str:
    return f"{variable} is not set: copy it from the app's page into .env or the environment."
