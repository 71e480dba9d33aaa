"""Make and check the `state` of an authorisation: kept for its owner alone, good once and for an hour.

Without it a page could have somebody paste an address with a code of another's account: their token would be
stored as ours, and reports of the wrong accounts, or duplications in them, would follow.
"""

import hmac
import json
import secrets
import time
from contextlib import suppress
from pathlib import Path

from tiktok_assets.commands.problems import Problem
from tiktok_assets.owner_only import create_folder, write_file

FILE_NAME = "oauth_state.json"
GOOD_SECONDS = 3600.0
"""As long as TikTok's own code (dossier 2)."""
MOST_PENDING = 20

_AGAIN = (
    "Run `tiktok-assets auth`, open the address it prints, and give the whole address the browser is sent to;"
    " a code that came another way, and is surely yours, goes with --without-state."
)


def new_state(folder: Path) -> str:
    """Make a state nobody can guess, and keep it.

    Raises:
        Problem: if it cannot be kept.
    """
    state = secrets.token_urlsafe(32)
    pending = _pending(folder)
    while len(pending) >= MOST_PENDING:
        del pending[min(pending, key=pending.__getitem__)]
    _keep(folder, {**pending, state: time.time() + GOOD_SECONDS})
    return state


def check_state(folder: Path, returned: str | None) -> None:
    """Accept the state of a redirected address, which counts as used from then on.

    Raises:
        Problem: if it is missing, unknown, used or too old.
    """
    if not returned:
        raise Problem(f"there is no state beside the code, so it could be of somebody else's account. {_AGAIN}")
    pending = _pending(folder)
    # Every one is compared, in the same time whatever they hold.
    known = [state for state in pending if hmac.compare_digest(state.encode(), returned.encode())]
    if not known:
        raise Problem(
            "the state of the address is not one of this folder's of the last hour, or was used before. " + _AGAIN
        )
    _keep(folder, {state: until for state, until in pending.items() if state not in known})


def _pending(folder: Path) -> dict[str, float]:
    """The states that may still come back, each with the instant (epoch) it ends."""
    found: object = None
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / FILE_NAME).read_bytes())
    if not isinstance(found, dict):
        return {}
    now = time.time()
    return {
        str(state): float(until)
        for state, until in found.items()
        if isinstance(until, int | float) and now < until <= now + GOOD_SECONDS
    }


def _keep(folder: Path, pending: dict[str, float]) -> None:
    try:
        create_folder(folder)
        write_file(folder / FILE_NAME, json.dumps(pending).encode())
    except OSError as error:
        raise Problem(
            f"cannot write {folder}: {error.strerror or error};"
            " make it writable or point TIKTOK_STATE_DIR elsewhere."
        ) from error
