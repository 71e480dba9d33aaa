"""Run the `auth` command: build the authorization URL, and exchange the authorization code for an access token.

The OAuth `state` of each URL is stored, valid once and for one hour. Without it, another person's page could make
the user paste a code of another account: its token would be stored, and reports or duplications would use it.
"""

import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl

from tiktok_assets.api import (
    AccessGrant,
    AuthClient,
    BannedError,
    NoAccountGrantedError,
    RetryLaterError,
    TikTokError,
    build_authorization_url,
    suggest_fix,
)
from tiktok_assets.cli.env_file import ENV_FILE, check_writable, set_variables
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.session import open_interactive_session
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.ingest import NO_ACCOUNT_MESSAGE, read_accounts
from tiktok_assets.settings import Settings, load_settings

HISTORY_DAYS = 90
"""Days of history from the first authorization on, if no start date is set."""

AUTH_CODE_ERRORS = frozenset({40110, 40115})
APP_OR_CODE_ERROR = 40101

STATE_FILE_NAME = "oauth_state.json"
STATE_LIFETIME_SECONDS = 3600.0
"""The lifetime of TikTok's authorization codes (API notes 2)."""

MAX_PENDING_STATES = 20

_BARE_CODE = re.compile(r"[A-Za-z0-9._~-]+")
_NEW_CODE_HINT = "Run `tiktok-assets auth`, open the URL it prints, and finish within one hour."
_STATE_HINT = (
    "Run `tiktok-assets auth`, open the URL it prints, and pass the full URL the browser is redirected to;"
    " use --without-state only for a code that you are sure is for your own account."
)


def build_login_url(settings: Settings, redirect_uri: str | None) -> str:
    """Return the authorization URL of the app with a new random state, which is stored.

    Args:
        settings: the settings with the app id and the state folder.
        redirect_uri: one of the app's redirect URLs; None if it has only one.

    Raises:
        CommandError: if the app id is not set, or the state cannot be stored.
    """
    if not settings.app_id:
        raise CommandError(_missing_variable_message("TIKTOK_APP_ID"))
    return build_authorization_url(settings.app_id, create_state(settings.state_dir), redirect_uri)


def parse_redirect(redirected: str) -> tuple[str, str | None]:
    """Return the authorization code and the state of a redirected URL; a bare code has no state.

    >>> parse_redirect("https://agency.example/callback/?auth_code=a1&code=a1&state=s")
    ('a1', 's')

    Raises:
        UsageError: if there is no code.
    """
    text = redirected.strip()
    query = parse_qs(text.partition("#")[0].rpartition("?")[2])
    code = next((query[name][0] for name in ("auth_code", "code") if name in query), None)
    if code:
        return code, query.get("state", [None])[0]
    if _BARE_CODE.fullmatch(text):
        return text, None
    raise UsageError(
        "there is no auth_code in the URL: copy the full URL the browser was redirected to, in quotes."
    )


def exchange_code(
    settings: Settings, redirected: str, warn: Callable[[str], None], *, without_state: bool = False
) -> pl.DataFrame:
    """Exchange an authorization code for an access token, store the token in `.env`, and read its accounts.

    Args:
        settings: the settings with app id, app secret and state folder.
        redirected: the URL the browser was redirected to, or a bare code.
        warn: receives a message about anything that needs the user's attention.
        without_state: accept a code that was not requested with the state folder of these settings.

    Returns:
        The granted accounts, with their details if the host has them.

    Raises:
        UsageError: if there is no code.
        CommandError: if the app is not set, the state is not valid, `.env` cannot be written, or TikTok refuses.
        NoAccountGrantedError: if no account was selected; the token is stored all the same.
    """
    code, state = parse_redirect(redirected)
    if not settings.app_id:
        raise CommandError(_missing_variable_message("TIKTOK_APP_ID"))
    if not settings.app_secret or not settings.app_secret.get_secret_value():
        raise CommandError(_missing_variable_message("TIKTOK_APP_SECRET"))
    check_writable(ENV_FILE)  # before the exchange: a code works only once
    if not without_state:
        consume_state(settings.state_dir, state)
    grant, now = _request_token(settings, code, settings.app_id, settings.app_secret.get_secret_value())
    set_variables(ENV_FILE, _env_variables(settings, grant, now))
    if os.environ.get("TIKTOK_ACCESS_TOKEN", grant.token) != grant.token:
        warn(
            "The token is stored in .env, but the environment has another TIKTOK_ACCESS_TOKEN, which takes"
            " precedence: unset it."
        )
    if not grant.advertiser_ids:
        raise NoAccountGrantedError(f"the token is stored in .env, but {NO_ACCOUNT_MESSAGE}")
    return _read_granted_accounts(grant, warn)


def _request_token(settings: Settings, code: str, app_id: str, secret: str) -> tuple[AccessGrant, datetime]:
    """Return the access grant for a code, and the API host's time."""
    try:
        with AuthClient(settings.base_url) as client:
            return client.exchange_code(code, app_id, secret), client.now()
    except RetryLaterError as error:
        raise CommandError(f"{error}; the code may or may not have been used. {_NEW_CODE_HINT}") from error
    except TikTokError as error:
        if error.code in AUTH_CODE_ERRORS:
            raise CommandError(
                f"{error}; a code works once, within one hour, and only for its own app. {_NEW_CODE_HINT}"
            ) from error
        if error.code == APP_OR_CODE_ERROR:
            raise CommandError(
                f"{error}; either TIKTOK_APP_ID and TIKTOK_APP_SECRET do not belong to the same app, or the code"
                f" is wrong or used: compare both with the app's page. {_NEW_CODE_HINT}"
            ) from error
        if isinstance(error, BannedError):
            raise CommandError(f"{error}. {suggest_fix(error)}") from error
        raise CommandError(
            f"{error}; nothing was written. Compare TIKTOK_APP_ID and TIKTOK_APP_SECRET with the app's page,"
            " and check TIKTOK_BASE_URL."
        ) from error


def _env_variables(settings: Settings, grant: AccessGrant, now: datetime) -> Mapping[str, str]:
    """Return the variables to set in `.env`: the token, and start date and host where they are not set yet."""
    variables = {"TIKTOK_ACCESS_TOKEN": grant.token}
    if "start_date" not in settings.model_fields_set:
        variables["TIKTOK_START_DATE"] = (now.date() - timedelta(HISTORY_DAYS)).isoformat()
    if settings.base_url != Settings.model_fields["base_url"].default:
        variables["TIKTOK_BASE_URL"] = settings.base_url
    return variables


def _read_granted_accounts(grant: AccessGrant, warn: Callable[[str], None]) -> pl.DataFrame:
    """Return the accounts with their details, or only their ids if the details cannot be read."""
    ids = sorted(set(grant.advertiser_ids))
    try:
        with open_interactive_session(load_settings(access_token=grant.token)) as session:
            return read_accounts(session.reader, ids).frame
    except TikTokError as error:
        warn(f"The token is stored in .env; the details of the accounts could not be read: {error}")
        return pl.DataFrame({"advertiser_id": ids}, schema={"advertiser_id": pl.String})


def _missing_variable_message(variable: str) -> str:
    return f"{variable} is not set: copy it from the app's page into .env or the environment."


def create_state(folder: Path) -> str:
    """Create a random OAuth state and store it in a folder.

    Raises:
        CommandError: if it cannot be stored.
    """
    state = secrets.token_urlsafe(32)
    pending = _read_pending_states(folder)
    while len(pending) >= MAX_PENDING_STATES:
        del pending[min(pending, key=pending.__getitem__)]
    _write_pending_states(folder, {**pending, state: time.time() + STATE_LIFETIME_SECONDS})
    return state


def consume_state(folder: Path, returned: str | None) -> None:
    """Check the state of a redirected URL and remove it from the stored ones, so that it works only once.

    Raises:
        CommandError: if it is missing, unknown, used or expired.
    """
    if not returned:
        raise CommandError(
            f"there is no state beside the code, so the code could be for another person's account. {_STATE_HINT}"
        )
    pending = _read_pending_states(folder)
    # All are compared, each in constant time, so that the duration does not depend on their content.
    matching = [state for state in pending if hmac.compare_digest(state.encode(), returned.encode())]
    if not matching:
        raise CommandError(
            "the state of the URL was not created in this folder within the last hour, or was used before. "
            + _STATE_HINT
        )
    _write_pending_states(folder, {state: expiry for state, expiry in pending.items() if state not in matching})


def _read_pending_states(folder: Path) -> dict[str, float]:
    """Return the states that are still valid, each with its expiry in epoch seconds."""
    content: object = None
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads((folder / STATE_FILE_NAME).read_bytes())
    if not isinstance(content, dict):
        return {}
    now = time.time()
    return {
        str(state): float(expiry)
        for state, expiry in content.items()
        if isinstance(expiry, int | float) and now < expiry <= now + STATE_LIFETIME_SECONDS
    }


def _write_pending_states(folder: Path, pending: dict[str, float]) -> None:
    try:
        create_private_folder(folder)
        write_private_file(folder / STATE_FILE_NAME, json.dumps(pending).encode())
    except OSError as error:
        raise CommandError(
            f"cannot write {folder}: {error.strerror or error};"
            " make it writable or set TIKTOK_STATE_DIR to another folder."
        ) from error
