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

from tiktok_assets.api.auth import AccessGrant, AuthClient, build_authorization_url
from tiktok_assets.api.errors import BannedError, NoAccountGrantedError, RetryLaterError, TikTokError, suggest_fix
from tiktok_assets.cli.env_file import ENV_FILE, check_writable, set_variables
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.cli.session import open_interactive_session
from tiktok_assets.file_permissions import create_private_folder, write_private_file
from tiktok_assets.ingest.account_reader import read_accounts
from tiktok_assets.ingest.accounts import NO_ACCOUNT_MESSAGE
from tiktok_assets.settings import Settings, load_settings

STATE_FILE_NAME = "oauth_state.json"
STATE_LIFETIME_SECONDS = 3600.0
"""As long as TikTok's own code (dossier 2)."""
MAX_PENDING_STATES = 20

_STATE_HINT = (
    "Run `tiktok-assets auth`, open the address it prints, and give the whole address the browser is sent to;"
    " a code that came another way, and is surely yours, goes with --without-state."
)


def create_state(folder: Path) -> str:
    """Make a state nobody can guess, and keep it.

    Raises:
        Problem: if it cannot be kept.
    """
    state = secrets.token_urlsafe(32)
    pending = _read_pending_states(folder)
    while len(pending) >= MAX_PENDING_STATES:
        del pending[min(pending, key=pending.__getitem__)]
    _write_pending_states(folder, {**pending, state: time.time() + STATE_LIFETIME_SECONDS})
    return state


def consume_state(folder: Path, returned: str | None) -> None:
    """Accept the state of a redirected address, which counts as used from then on.

    Raises:
        Problem: if it is missing, unknown, used or too old.
    """
    if not returned:
        raise CommandError(
            f"there is no state beside the code, so it could be of somebody else's account. {_STATE_HINT}"
        )
    pending = _read_pending_states(folder)
    # Every one is compared, in the same time whatever they hold.
    known = [state for state in pending if hmac.compare_digest(state.encode(), returned.encode())]
    if not known:
        raise CommandError(
            "the state of the address is not one of this folder's of the last hour, or was used before. "
            + _STATE_HINT
        )
    _write_pending_states(folder, {state: until for state, until in pending.items() if state not in known})


def _read_pending_states(folder: Path) -> dict[str, float]:
    """The states that may still come back, each with the instant (epoch) it ends."""
    found: object = None
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / STATE_FILE_NAME).read_bytes())
    if not isinstance(found, dict):
        return {}
    now = time.time()
    return {
        str(state): float(until)
        for state, until in found.items()
        if isinstance(until, int | float) and now < until <= now + STATE_LIFETIME_SECONDS
    }


def _write_pending_states(folder: Path, pending: dict[str, float]) -> None:
    try:
        create_private_folder(folder)
        write_private_file(folder / STATE_FILE_NAME, json.dumps(pending).encode())
    except OSError as error:
        raise CommandError(
            f"cannot write {folder}: {error.strerror or error};"
            " make it writable or point TIKTOK_STATE_DIR elsewhere."
        ) from error


HISTORY_DAYS = 90
AUTH_CODE_ERRORS = frozenset({40110, 40115})
APP_OR_CODE_ERROR = 40101

_BARE_CODE = re.compile(r"[A-Za-z0-9._~-]+")
_NEW_CODE_HINT = "Open the address `tiktok-assets auth` prints again, and come back within the hour."


def build_login_url(settings: Settings, redirect_uri: str | None) -> str:
    """The authorisation address of the app, with a state nobody can guess, which is kept.

    Raises:
        Problem: if the app is not known, or the state cannot be kept.
    """
    if not settings.app_id:
        raise CommandError(_missing_variable_message("TIKTOK_APP_ID"))
    return build_authorization_url(settings.app_id, create_state(settings.state_dir), redirect_uri)


def parse_redirect(redirected: str) -> tuple[str, str | None]:
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
    raise UsageError(
        "there is no auth_code in what was given: copy the whole address the browser was sent to, in quotes."
    )


def exchange_code(
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
    code, state = parse_redirect(redirected)
    if not settings.app_id:
        raise CommandError(_missing_variable_message("TIKTOK_APP_ID"))
    if not settings.app_secret or not settings.app_secret.get_secret_value():
        raise CommandError(_missing_variable_message("TIKTOK_APP_SECRET"))
    check_writable(ENV_FILE)  # a code can be spent only once
    if not without_state:
        consume_state(settings.state_dir, state)
    granted, now = _request_token(settings, code, settings.app_id, settings.app_secret.get_secret_value())
    set_variables(ENV_FILE, _env_variables(settings, granted, now))
    if os.environ.get("TIKTOK_ACCESS_TOKEN", granted.token) != granted.token:
        warn("The token is in .env, but the environment has another TIKTOK_ACCESS_TOKEN, which wins: unset it.")
    if not granted.advertiser_ids:
        raise NoAccountGrantedError(f"the token is in .env, but {NO_ACCOUNT_MESSAGE}")
    return _read_granted_accounts(granted, warn)


def _request_token(settings: Settings, code: str, app_id: str, secret: str) -> tuple[AccessGrant, datetime]:
    try:
        with AuthClient(settings.base_url) as exchange:
            return exchange.token_for(code, app_id, secret), exchange.now()
    except RetryLaterError as error:
        raise CommandError(f"{error}; whether the code was spent is not known. {_NEW_CODE_HINT}") from error
    except TikTokError as error:
        if error.code in AUTH_CODE_ERRORS:
            raise CommandError(
                f"{error}; a code works once, within the hour, for its own app. {_NEW_CODE_HINT}"
            ) from error
        if error.code == APP_OR_CODE_ERROR:
            raise CommandError(
                f"{error}; either TIKTOK_APP_ID and TIKTOK_APP_SECRET are not of one app, or the code is wrong or"
                f" used: check both against the app's page. {_NEW_CODE_HINT}"
            ) from error
        if isinstance(error, BannedError):
            raise CommandError(f"{error}. {suggest_fix(error)}") from error
        raise CommandError(
            f"{error}; nothing was written. Check TIKTOK_APP_ID and TIKTOK_APP_SECRET against the app's page,"
            " and TIKTOK_BASE_URL."
        ) from error


def _env_variables(settings: Settings, granted: AccessGrant, now: datetime) -> Mapping[str, str]:
    """What `.env` must say from now on."""
    told = {"TIKTOK_ACCESS_TOKEN": granted.token}
    if "start_date" not in settings.model_fields_set:
        told["TIKTOK_START_DATE"] = (now.date() - timedelta(HISTORY_DAYS)).isoformat()
    if settings.base_url != Settings.model_fields["base_url"].default:
        told["TIKTOK_BASE_URL"] = settings.base_url
    return told


def _read_granted_accounts(granted: AccessGrant, warn: Callable[[str], None]) -> pl.DataFrame:
    """The accounts with their details, or with their ids alone where the host tells no more."""
    ids = sorted(set(granted.advertiser_ids))
    try:
        with open_interactive_session(load_settings(access_token=granted.token)) as session:
            return read_accounts(session.reader, ids).frame
    except TikTokError as error:
        warn(f"The token is in .env; the accounts' details could not be read: {error}")
        return pl.DataFrame({"advertiser_id": ids}, schema={"advertiser_id": pl.String})


def _missing_variable_message(variable: str) -> str:
    return f"{variable} is not set: copy it from the app's page into .env or the environment."
