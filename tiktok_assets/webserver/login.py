"""Ask for a password before anything is served: HTTP basic authentication, remembered in a cookie."""

import hmac
import secrets
import time
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

FREE_TRIES = 5
"""Wrong passwords from one address before it has to wait."""
LONGEST_PAUSE_SECONDS = 60.0
FORGET_SECONDS = 15 * 60.0
MOST_ADDRESSES = 10_000
COOKIE = "tiktok_assets_session"


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0

    def pause(self, now: float) -> float:
        """Return how many seconds the address still has to wait; the pause doubles with each failure."""
        beyond = self.count - FREE_TRIES
        length = min(2.0**beyond, LONGEST_PAUSE_SECONDS) if 0 <= beyond < 10 else LONGEST_PAUSE_SECONDS  # noqa: PLR2004 - 2**10 is past the longest
        return max(0.0, self.last + length - now) if beyond >= 0 else 0.0


class Login:
    """Check the password of each request; an address that fails often waits, and no other address does.

    Any user name is accepted. The cookie is there because some browsers send no password with a websocket; its
    value is random, made anew at each start, and no page of another site makes a browser send it.
    """

    def __init__(self, password: str, now: Callable[[], float] = time.monotonic) -> None:
        self._digest = sha256(password.encode()).digest()
        self._session = secrets.token_urlsafe(32)
        self._now = now
        self._failures: dict[str, _Failures] = {}

    async def check(self, scope: Scope) -> tuple[Response | None, str | None]:
        """Return the answer to a request without the password or None, and a cookie to set or None."""
        connection = HTTPConnection(scope)
        cookie = connection.cookies.get(COOKIE, "")
        if hmac.compare_digest(cookie.encode(), self._session.encode()):
            return None, None
        given = _password_of(connection.headers.get("authorization", ""))
        address = connection.client.host if connection.client else ""
        failures = self._failures.get(address, _Failures())
        if given is None:
            return _ask(), None
        if (wait := failures.pause(self._now())) > 0:
            seconds = str(int(wait) + 1)
            sentence = f"Too many wrong passwords from this address; try again in {seconds} s.\n"
            return PlainTextResponse(sentence, 429, {"Retry-After": seconds}), None
        if hmac.compare_digest(sha256(given).digest(), self._digest):
            self._failures.pop(address, None)
            return None, f"{COOKIE}={self._session}; HttpOnly; SameSite=Strict; Path=/"
        self._note_failure(address, failures)
        return _ask(), None

    def _note_failure(self, address: str, failures: _Failures) -> None:
        now = self._now()
        if len(self._failures) >= MOST_ADDRESSES:
            self._failures = {
                one: kept for one, kept in self._failures.items() if now - kept.last < FORGET_SECONDS
            }
            while (
                len(self._failures) >= MOST_ADDRESSES
            ):  # the oldest; so many addresses at once are one attacker's
                self._failures.pop(next(iter(self._failures)))
        count = failures.count + 1 if now - failures.last < FORGET_SECONDS else 1
        self._failures[address] = _Failures(count, now)


def _password_of(authorization: str) -> bytes | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, separator, password = b64decode(value.strip(), validate=True).partition(b":")
    except (BadBase64, ValueError):
        return None
    return password if separator else None


def _ask() -> Response:
    return PlainTextResponse(
        "A password is needed: the one in TIKTOK_UI_PASSWORD, with any user name.\n",
        401,
        {"WWW-Authenticate": 'Basic realm="tiktok_assets", charset="UTF-8"'},
    )
